import torch

from bhasa.ops import segments

IDS = torch.tensor([[0, 0, 1, 1, 2], [1, 1, 1, 3, 3]])


def test_a_document_starts_where_the_segment_changes_and_not_before_segment_zero():
    assert segments.starts(IDS).tolist() == [
        [False, False, True, False, True],
        [True, False, False, True, False],
    ]


def test_what_lies_before_the_row_is_of_segment_zero():
    assert segments.same_as(IDS, 1).tolist() == [
        [True, True, False, True, False],
        [False, True, True, False, True],
    ]
    assert segments.same_as(IDS, 2).tolist() == [
        [True, True, False, False, False],
        [False, False, True, False, False],
    ]
