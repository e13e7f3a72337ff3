from typing import Any

import pytest

from benchmarks.corpora import exchange, prose
from bhasa.documents import contamination as module
from bhasa.documents.contamination import Signed, contamination
from bhasa.documents.signature import runs_of_words, signature


def signed(text: str, media_type: str = "text/plain", *, left_out: bool = False) -> Signed:
    return Signed(media_type, runs_of_words(signature(text.encode())), left_out)


def measured(test: list[Signed], train: list[Signed]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The test split's figures, before and after."""
    found = contamination({"test": test}, train)
    return found["before"]["test"], found["after"]["test"]


TEXTS = [prose(n, 2000) for n in range(8)]


def test_texts_with_nothing_in_common() -> None:
    before, after = measured([signed(TEXTS[0])], [signed(text) for text in TEXTS[1:]])
    assert before == after
    assert (after["documents"], after["seen"], after["half_seen"], after["mostly_seen"]) == (1, 0, 0, 0)


def test_a_copy_in_train_is_seen_and_a_part_by_its_share() -> None:
    half = " ".join(TEXTS[1].split(" ")[:1000]) + " " + prose("other", 1000)
    before, _ = measured(list(map(signed, TEXTS[:3])), [signed(half), signed(TEXTS[2])])
    assert before["seen"] == pytest.approx(0.5, abs=0.05)
    assert before["mostly_seen"] == 1
    assert before["half_seen"] in (1, 2)


def test_what_is_left_out_of_train_or_test_is_seen_before_only() -> None:
    copy = exchange(TEXTS[0], 0.005, 0)
    before, after = measured([signed(TEXTS[0])], [signed(copy, left_out=True), signed(TEXTS[1])])
    assert before["mostly_seen"] == 1
    assert (after["seen"], after["mostly_seen"], after["documents"]) == (0, 0, 1)
    before, after = measured([signed(copy, left_out=True)], [signed(TEXTS[0])])
    assert before["mostly_seen"] == before["documents"] == 1
    assert after["documents"] == after["seen"] == 0


def test_shares_by_media_type() -> None:
    test = [signed(TEXTS[0], "a/a"), signed(TEXTS[1], "b/b"), signed(TEXTS[2], "b/b")]
    _, after = measured(test, [signed(TEXTS[0])])
    assert after["media_types"] == [
        {"media_type": "a/a", "documents": 1, "seen": 1.0},
        {"media_type": "b/b", "documents": 2, "seen": 0.0},
    ]


def test_no_more_than_so_many_runs_are_held(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_RUNS", 200)
    _, after = measured(list(map(signed, TEXTS)), list(map(signed, TEXTS)))
    assert after["documents"] == 2
    assert after["seen"] == 1


def test_nothing_held_out_is_no_fault() -> None:
    assert contamination({"test": []}, [signed(TEXTS[0])])["after"]["test"]["documents"] == 0
    _, after = measured([signed("word")], [])
    assert after["seen"] == 0
