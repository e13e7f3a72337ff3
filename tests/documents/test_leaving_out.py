import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from benchmarks.corpora import exchange, prose
from bhasa.documents.config import IngestConfig, NearDuplicatesConfig
from bhasa.documents.database import Database
from bhasa.documents.leaving_out import leave_out
from bhasa.documents.prepare import Prepared, prepare
from bhasa.documents.records import Text
from bhasa.documents.sources.files import InputFile
from bhasa.documents.spool import Spool
from bhasa.errors import UserError

CONFIG = IngestConfig.parse({"sources": [{"kind": "folder", "path": "raw"}]}, "test")


@contextmanager
def spooled(texts: dict[str, str]) -> Iterator[Spool]:
    """Texts by source; the domain is the first part of its name."""
    with tempfile.TemporaryDirectory() as folder, Database(Path(folder, "file")) as database:
        spool = Spool(database, lambda _: "train")
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
