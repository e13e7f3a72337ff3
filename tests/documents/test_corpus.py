import json
import tempfile
from collections import Counter
from functools import partial
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bhasa.documents.config import FolderSource, IngestConfig
from bhasa.documents.corpus import Account, Corpus
from bhasa.documents.files import InputFile, Outcome
from bhasa.documents.report import make_report
from bhasa.documents.sources import list_files

SOURCES = [{"kind": "folder", "path": "raw"}]
CHAT = json.dumps({"messages": [{"role": "user", "content": "Q"}, {"role": "assistant", "content": "A"}]})


def config(**values: object) -> IngestConfig:
    return IngestConfig.parse({"sources": SOURCES, "min_characters": 4} | values, "test")


def file(name: str, content: bytes | str) -> InputFile:
    content = content.encode() if isinstance(content, str) else content
    return InputFile(name, len(content), partial(bytes, content))


def add_all(corpus: Corpus, *files: InputFile) -> list[Account]:
    return [corpus.add(file) for file in files]


def test_each_outcome() -> None:
    accounts = add_all(
        Corpus(config()),
        file("raw/a.txt", "a text\r\n"),
        file("raw/b.md", "a text   \n\n"),
        file("raw/c.txt", "ab"),
        file("raw/d.xyz", "a text"),
        file("raw/e.txt", b"\0\1\2"),
        file("raw/f.jsonl", f"{CHAT}\n{{\n"),
        file("raw/g.jsonl", CHAT),
    )
    assert [(account.outcome.value, account.reason, account.details) for account in accounts] == [
        ("kept", "", ()),
        ("duplicate", "equal text", ("same as raw/a.txt",)),
        ("skipped", "shorter than min_characters", ()),
        ("skipped", "unsupported format .xyz", ()),
        ("quarantined", "binary data", ()),
        ("kept", "", ("line 2: not JSON",)),
        ("duplicate", "equal text", ("same as earlier conversations",)),
    ]


def test_a_document_says_what_it_is() -> None:
    corpus = Corpus(config())
    corpus.add(file("raw/a.py", "x = 'caf\u00e9'"))
    (document,) = corpus.documents.values()
    assert document.text == "x = 'caf\u00e9'\n"
    assert (document.source, document.language, document.media_type) == (
        "raw/a.py",
        "python",
        "text/x-python",
    )
    assert document.bytes == len(document.text) + 1
    assert json.loads(document.meta) == {"encoding": "utf-8"}


def test_pairs_are_on_their_documents_side_and_the_cap_holds() -> None:
    corpus = Corpus(config(validation_fraction=0.25, test_fraction=0.25))
    for n in range(40):
        code = f'def f{n}(x):\n    """Return the number {n} in a roundabout way."""\n'
        corpus.add(file(f"raw/m{n}.py", code))
    documents, chat = corpus.document_splits(), corpus.chat_splits()
    for split, conversations in chat.items():
        modules = {document.source.removeprefix("raw/").removesuffix(".py") for document in documents[split]}
        assert conversations
        assert {c.messages[0][1].split("`")[1].split(".")[0] for c in conversations} <= modules
    capped = Corpus(
        config(validation_fraction=0.25, test_fraction=0.25, chat={"max_pairs": 7}), corpus.documents
    )
    chosen = {c.id for conversations in capped.chat_splits().values() for c in conversations}
    assert chosen == set(sorted(c.id for conversations in chat.values() for c in conversations)[:7])


def test_conversations_in_files_are_kept_whatever_the_cap() -> None:
    corpus = Corpus(config(chat={"max_pairs": 0}))
    corpus.add(file("raw/a.jsonl", CHAT))
    assert sum(map(len, corpus.chat_splits().values())) == 1


TEXTS = st.sampled_from(["same text", "same text\r\n", "other text", "x", "", "   \n"]) | st.text(max_size=30)
CONTENTS = (
    TEXTS.map(lambda text: text.encode("utf-8", "replace")) | st.binary(max_size=30) | st.just(CHAT.encode())
)
STEMS = st.text(alphabet="ab.", min_size=1, max_size=3).filter(lambda stem: stem.strip("."))
SUFFIXES = st.sampled_from([".txt", ".md", ".py", ".c", ".jsonl", ".pdf", ".bin", ""])
TREES = st.dictionaries(st.tuples(STEMS, SUFFIXES).map("".join), CONTENTS, max_size=12)


@settings(max_examples=60, deadline=None)
@given(TREES)
def test_every_file_has_exactly_one_outcome(tree: dict[str, bytes]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        raw = Path(folder, "raw")
        raw.mkdir()
        for name, content in (tree | {"always.txt": b"always there"}).items():
            (raw / name).write_bytes(content)
        source = FolderSource(kind="folder", path=str(raw))
        corpus = Corpus(config())
        accounts = add_all(corpus, *list_files(source, max_file_bytes=len(CHAT)))
        report = make_report([(source, accounts)], corpus.document_splits(), corpus.chat_splits())
        expected = sorted(f"raw/{name}" for name in tree | {"always.txt": b""})

    files = report["files"]
    assert files["in"] == len(expected) == sum(files[outcome.value] for outcome in Outcome)
    assert [entry["source"] for entry in report["sources"][0]["listed"]] == expected
    for counts in report["media_types"]:
        assert counts["in"] == sum(counts[outcome.value] for outcome in Outcome)
    assert all(account.reason for account in accounts if account.outcome != Outcome.KEPT)
    reasons = Counter(account.outcome.value for account in accounts if account.outcome != Outcome.KEPT)
    reported: Counter[str] = Counter()
    for row in report["reasons"]:
        reported[row["outcome"]] += row["files"]
    assert reported == reasons
    kept_documents = {
        a.source for a in accounts if a.outcome == Outcome.KEPT and not a.source.endswith(".jsonl")
    }
    assert {document.source for document in corpus.documents.values()} == kept_documents


@settings(deadline=None)
@given(
    st.lists(st.text(alphabet="abc ", min_size=4, max_size=8), min_size=1, unique=True),
    st.lists(st.text(alphabet="abc ", min_size=4, max_size=8), max_size=8),
)
def test_a_document_never_changes_side_when_others_are_added(texts: list[str], more: list[str]) -> None:
    def sides(texts: list[str]) -> dict[str, str]:
        corpus = Corpus(config(validation_fraction=0.2, test_fraction=0.3))
        add_all(corpus, *(file(f"raw/{n}.txt", text) for n, text in enumerate(texts)))
        return {row.id: split for split, rows in corpus.document_splits().items() for row in rows}

    assert sides(texts).items() <= sides(more + texts).items()


@pytest.mark.parametrize("order", [1, -1])
def test_the_first_of_equal_texts_is_kept(order: int) -> None:
    files = [file("one/x.txt", "same text"), file("two/x.txt", "same text")][::order]
    corpus = Corpus(config())
    add_all(corpus, *files)
    assert [document.source for document in corpus.documents.values()] == [files[0].name]
