import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from benchmarks.corpora import prose
from bhasa.dataset import SPLITS, Document
from bhasa.documents.config import IngestConfig
from bhasa.documents.corpus import Corpus
from bhasa.documents.dividing import FEWEST_GROUPS
from bhasa.documents.prepare import prepare
from bhasa.documents.records import Text
from bhasa.documents.sources.files import InputFile
from bhasa.documents.wire import Result


@contextmanager
def divided(*texts: str, **values: object) -> Iterator[tuple[bool, dict[str, list[Document]]]]:
    config = IngestConfig.parse({"sources": [{"kind": "folder", "path": "raw"}]} | values, "test")
    with tempfile.TemporaryDirectory() as folder, Corpus(config, Path(folder, "spool")) as corpus:
        for number, text in enumerate(texts):
            file = InputFile(f"raw/{number:02}.txt", len(text), text.encode)
            found = prepare(Text(text), file, "raw", config)
            corpus.add(file, [Result(found, len(text), "text/plain")])
        done = corpus.divide()
        yield done, {split: list(corpus.documents(split)) for split in SPLITS}


def test_the_parts_are_the_text_in_order() -> None:
    text = prose(0, 2000)
    with divided(text) as (done, documents):
        assert done
        (train,), (validation,), (test,) = (documents[split] for split in SPLITS)
    assert "".join(part.text for part in (train, validation, test)) == text.strip("\n") + "\n"
    for part in (validation, test):
        assert part.bytes == pytest.approx(0.05 * len(text), rel=0.3)
    assert {part.source for part in (train, validation, test)} == {"raw/00.txt"}
    assert '"part": "test"' in test.meta


@pytest.mark.parametrize(
    ("separator", "ends"), [("\n\n", ".\n\n"), ("\n", ".\n"), (" ", " ")], ids=["paragraph", "line", "word"]
)
def test_a_part_ends_with_what_is_whole(separator: str, ends: str) -> None:
    sentences = [f"Number {n} says what number {n - 1} said before." for n in range(400)]
    text = separator.join(sentences if separator != " " else " ".join(sentences).replace(".", "").split())
    with divided(text) as (_, documents):
        for split in SPLITS:
            (part,) = documents[split]
            assert part.text.endswith(ends if split != "test" else "\n")
            assert set(part.text.split()) <= set(text.split())


def test_held_out_parts_have_at_least_min_characters() -> None:
    with divided(prose(0, 200)[:1000]) as (_, documents):
        sizes = {split: documents[split][0].bytes for split in SPLITS}
    assert 48 <= sizes["validation"] <= 81 >= sizes["test"] >= 48
    assert sizes["train"] > 800


def test_a_short_document_goes_whole_to_train() -> None:
    short = prose("short", 30)[:150]
    with divided(prose(0, 400), short) as (_, documents):
        assert [len(documents[split]) for split in SPLITS] == [2, 1, 1]
        assert any(document.text.strip() == short.strip() for document in documents["train"])


def test_short_documents_alone_are_placed_in_the_order_of_their_ids() -> None:
    with divided(*(prose(n, 30)[:150] for n in range(5))) as (done, documents):
        assert done
        assert [len(documents[split]) for split in SPLITS] == [3, 1, 1]


def test_documents_that_are_enough_are_split_whole() -> None:
    texts = [prose(n, 30) for n in range(FEWEST_GROUPS * 10)]
    with divided(*texts) as (done, documents):
        assert not done
        assert sum(map(len, documents.values())) == len(texts)


def test_an_empty_split_is_filled_however_many_documents_there_are() -> None:
    texts = [prose(n, 200) for n in range(FEWEST_GROUPS + 5)]
    with divided(*texts, validation_fraction=1e-6, test_fraction=1e-6) as (done, documents):
        assert done
        assert all(documents.values())


def test_groups_are_kept_together_where_that_is_asked_for() -> None:
    with divided(prose(0, 400), split_by="folder") as (done, _):
        assert not done


def test_a_part_has_the_id_of_its_text_and_the_same_each_time() -> None:
    text = prose(0, 500)
    with divided(text) as (_, first), divided(text, prose(1, 500)) as (_, second):
        ids = {document.id for split in SPLITS for document in first[split]}
        assert ids < {document.id for split in SPLITS for document in second[split]}
