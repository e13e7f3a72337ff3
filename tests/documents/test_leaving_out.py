import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest

from benchmarks.corpora import exchange, prose
from bhasa.dataset import SPLITS
from bhasa.documents.config import IngestConfig, NearDuplicatesConfig
from bhasa.documents.database import Database
from bhasa.documents.leaving_out import leave_out
from bhasa.documents.prepare import Prepared, prepare
from bhasa.documents.records import Text
from bhasa.documents.shingles import jaccard, shingle_set
from bhasa.documents.sources.files import InputFile
from bhasa.documents.splits import split_of
from bhasa.documents.spool import Spool
from bhasa.errors import UserError

CONFIG = IngestConfig.parse({"sources": [{"kind": "folder", "path": "raw"}]}, "test")


@contextmanager
def spooled(texts: dict[str, str], split_of: Callable[[str], str] = lambda _: "train") -> Iterator[Spool]:
    """Texts by source; the domain is the first part of its name."""
    with tempfile.TemporaryDirectory() as folder, Database(Path(folder, "file")) as database:
        spool = Spool(database, split_of)
        for name, text in texts.items():
            partition = InputFile(name, len(text), text.encode)
            prepared = prepare(Text(text), partition, name.split("/")[0], CONFIG)
            assert isinstance(prepared, Prepared)
            spool.add(prepared)
        yield spool


def sources(spool: Spool) -> list[str]:
    return sorted(document.source for document in spool.documents())


ORIGINALS = {f"a/{n:02}.txt": prose(n, 200) for n in range(20)}
COPIES = {f"b/{n:02}.txt": exchange(text, 0.01, n) for n, text in enumerate(ORIGINALS.values())}


def test_the_first_is_kept_and_the_others_say_what_they_are_like() -> None:
    copies = {f"b/{n}.txt": exchange(ORIGINALS[f"a/0{n}.txt"], 0.01, n) for n in range(5)}
    with spooled(ORIGINALS | copies) as spool:
        leave_out(spool, NearDuplicatesConfig())
        assert sources(spool) == list(ORIGINALS)
        assert spool.count_documents()["train"][0] == 20
        pairs = [(source, like) for source, like, _ in spool.near_duplicates()]
        assert pairs == [(f"b/{n}.txt", f"a/0{n}.txt") for n in range(5)]
        assert all(0.6 < similarity < 1 for _, _, similarity in spool.near_duplicates("b"))
        assert list(spool.near_duplicates("a")) == []
    with spooled(copies | ORIGINALS) as spool:
        leave_out(spool, NearDuplicatesConfig())
        assert set(copies) < set(sources(spool))


def test_a_source_that_would_be_emptied_stops_the_stage() -> None:
    with spooled(ORIGINALS | COPIES) as spool, pytest.raises(UserError) as stopped:
        leave_out(spool, NearDuplicatesConfig())
    message = str(stopped.value)
    assert "of 20 documents of source 'b' 20 are nearly the same" in message
    assert "b/00.txt like a/00.txt (0." in message
    assert "b/01.txt like a/01.txt (0." in message
    for remedy in ("most_of_a_source (0.5)", "threshold (0.6)", "ingest.near_duplicates: null"):
        assert remedy in message
    with spooled(ORIGINALS | COPIES) as spool:
        leave_out(spool, NearDuplicatesConfig(most_of_a_source=1))
        assert sources(spool) == list(ORIGINALS)


def test_of_a_few_files_any_number_may_be_copies() -> None:
    with spooled({"a/x.txt": prose(0, 200), "a/y.txt": exchange(prose(0, 200), 0.01, 0)}) as spool:
        leave_out(spool, NearDuplicatesConfig(most_of_a_source=0.1))
        assert sources(spool) == ["a/x.txt"]


def test_texts_without_words_are_only_ever_equal() -> None:
    with spooled({"a/x.txt": "-" * 80, "a/y.txt": "-" * 81}) as spool:
        leave_out(spool, NearDuplicatesConfig())
        assert len(sources(spool)) == 2


def pairs_across_splits(spool: Spool) -> int:
    """Of documents in train with documents that are held out, every one compared."""
    sets = {
        split: [shingle_set(document.text.encode()) for document in spool.documents(split)]
        for split in SPLITS
    }
    held_out = sets["validation"] + sets["test"]
    return sum(jaccard(one, other) >= 0.6 for one in sets["train"] for other in held_out)


def test_no_near_copy_of_what_is_held_out_is_in_train() -> None:
    config = CONFIG.model_copy(update={"validation_fraction": 0.2, "test_fraction": 0.2})
    with spooled(ORIGINALS | COPIES, partial(split_of, config=config)) as spool:
        assert pairs_across_splits(spool) > 3
        leave_out(spool, NearDuplicatesConfig(most_of_a_source=1))
        assert pairs_across_splits(spool) == 0
        assert all(list(spool.documents(split)) for split in SPLITS)
