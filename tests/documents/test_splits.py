import hashlib
from collections import Counter

import pytest

from bhasa.dataset import SPLITS
from bhasa.documents.config import IngestConfig
from bhasa.documents.splits import place_of, split_of
from bhasa.errors import UserError

SOURCES = [{"kind": "folder", "path": "raw"}]
IDS = [hashlib.sha256(str(n).encode()).hexdigest() for n in range(4000)]


def config(**values: float) -> IngestConfig:
    return IngestConfig.parse({"sources": SOURCES} | values, "test")


def test_shares_are_those_asked_for() -> None:
    counts = Counter(split_of(i, config(validation_fraction=0.1, test_fraction=0.2)) for i in IDS)
    assert set(counts) == set(SPLITS)
    assert counts["validation"] == pytest.approx(400, rel=0.15)
    assert counts["test"] == pytest.approx(800, rel=0.15)


def test_a_larger_test_fraction_only_adds_to_the_test_split() -> None:
    def test_ids(fraction: float) -> set[str]:
        return {i for i in IDS if split_of(i, config(test_fraction=fraction)) == "test"}

    assert test_ids(0.05) < test_ids(0.1)


@pytest.mark.parametrize("identifier", ["0" * 64, "f" * 64])
def test_the_ends_of_the_range_have_a_side(identifier: str) -> None:
    assert split_of(identifier, config()) == ("test" if identifier[0] == "0" else "train")


def test_too_much_held_out_is_the_users_error() -> None:
    with pytest.raises(
        UserError, match=r"validation_fraction \+ test_fraction is 0\.6; allowed is at most 0\.5"
    ):
        config(validation_fraction=0.3, test_fraction=0.3)


@pytest.mark.parametrize(
    ("name", "part", "folder", "repository"),
    [
        ("raw/notes.md", "", "", ""),
        ("raw/project/a.py", "", "raw/project", "raw/project"),
        ("raw/project/src/deep/a.py", "", "raw/project/src/deep", "raw/project"),
        ("raw/talk.jsonl", "line 3", "", ""),
        ("raw/project/rows.csv", "rows 1-9", "raw/project", "raw/project"),
        ("raw/all.zip", "one/a.py", "raw/all.zip/one", "raw/all.zip"),
        ("raw/all.zip", "a.py", "raw/all.zip", "raw/all.zip"),
        ("raw/sub/note.txt.gz", "", "raw/sub", "raw/sub"),
    ],
)
def test_what_lies_in_one_folder_stays_together(name: str, part: str, folder: str, repository: str) -> None:
    assert place_of(name, part, "document") == ""
    assert place_of(name, part, "folder") == folder
    assert place_of(name, part, "repository") == repository
