"""Damaged and hostile PDFs in real workers."""

from collections.abc import Callable

import pytest

from benchmarks import hostile_pdfs
from benchmarks.damaged_pdfs import answers, files

MakePdf = Callable[..., bytes]


def became(*contents: bytes) -> list[list[str]]:
    return [outcomes for _, outcomes in answers(contents)]


def test_a_second_opinion_is_had_where_no_file_can_be_opened(make_pdf: MakePdf, text_pdf: bytes) -> None:
    locked = make_pdf(b"BT /F1 12 Tf 72 720 Td (anyone may read this) Tj ET", password="")
    headless = [content.replace(b"%PDF-1.3", b"no mark!") for content in (text_pdf, locked)]
    assert became(*headless) == [["kept"], ["kept"]]


@pytest.mark.slow
def test_each_of_many_damaged_files_is_accounted_for() -> None:
    made = list(files(130, heavy=False))
    found = became(*[content for _, content in made])
    assert len(found) == len(made)
    assert all(found)
    known = ("kept", "quarantined: PDF", "quarantined: broken PDF", "quarantined: encrypted PDF")
    assert {outcome for outcomes in found for outcome in outcomes if not outcome.startswith(known)} == set()
    assert sum("kept" in outcomes for outcomes in found) > len(found) // 3


@pytest.mark.slow
def test_a_file_that_ends_native_code_takes_nothing_else_with_it(text_pdf: bytes) -> None:
    hungry = hostile_pdfs.KINDS["four million letters, each alone"]()
    assert became(text_pdf, hungry, text_pdf) == [["kept"], ["quarantined: its reader crashed"], ["kept"]]
