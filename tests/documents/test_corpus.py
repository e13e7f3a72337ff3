import json
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bhasa.dataset import SPLITS, Document
from bhasa.documents import prepare
from bhasa.documents.config import IngestConfig
from bhasa.documents.corpus import Corpus
from bhasa.documents.questions import ask
from bhasa.documents.records import Conversation
from bhasa.documents.sources.files import InputFile
from tests.documents.in_this_process import add_all

SOURCES = [{"kind": "folder", "path": "raw"}]
CHAT = json.dumps({"messages": [{"role": "user", "content": "Q"}, {"role": "assistant", "content": "A"}]})


def config(**values: object) -> IngestConfig:
    return IngestConfig.parse({"sources": SOURCES, "min_characters": 4} | values, "test")


def file(name: str, content: bytes | str) -> InputFile:
    content = content.encode() if isinstance(content, str) else content
    return InputFile(name, len(content), partial(bytes, content))


@contextmanager
def opened(**values: object) -> Iterator[Corpus]:
    with tempfile.TemporaryDirectory() as folder, Corpus(config(**values), Path(folder, "spool")) as corpus:
        yield corpus


def documents_of(corpus: Corpus) -> list[Document]:
    return [document for split in SPLITS for document in corpus.documents(split)]


def test_each_outcome() -> None:
    with opened() as corpus:
        accounts = add_all(
            corpus,
            file("raw/a.txt", "a text\r\n"),
            file("raw/b.md", "a text   \n\n"),
            file("raw/c.txt", "ab"),
            file("raw/d.xyz", "a text"),
            file("raw/e.txt", b"\0\1\2"),
            file("raw/f.jsonl", f"{CHAT}\n{{\n"),
            file("raw/g.jsonl", CHAT),
            file("raw/h.jsonl", "{\n[1]\n"),
        )
    assert [(account.outcome.value, account.reason, account.details) for account in accounts] == [
        ("kept", "", ()),
        ("duplicate", "equal text", ("same as raw/a.txt",)),
        ("skipped", "shorter than min_characters", ()),
        ("skipped", "unsupported format .xyz", ()),
        ("quarantined", "binary data", ()),
        ("kept", "", ("line 2: not JSON",)),
        ("duplicate", "equal text", ("same as earlier conversations",)),
        (
            "quarantined",
            "no line is a conversation, preference or text",
            ("line 1: not JSON", "line 2: not an object"),
        ),
    ]


def test_many_broken_parts_are_counted_and_some_named() -> None:
    with opened() as corpus:
        (account,) = add_all(corpus, file("raw/a.jsonl", CHAT + "\n{" * 100))
    assert account.details[:2] == ("line 2: not JSON", "line 3: not JSON")
    assert account.details[20:] == ("80 more",)


def test_a_text_that_no_row_can_hold_is_quarantined(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prepare, "MAX_TEXT_BYTES", 5)
    with opened() as corpus:
        accounts = add_all(corpus, file("raw/a.txt", "four"), file("raw/b.txt", "fives"))
    assert [(a.outcome.value, a.reason) for a in accounts] == [
        ("kept", ""),
        ("quarantined", "longer than one document may be"),
    ]


def test_a_document_says_what_it_is() -> None:
    with opened() as corpus:
        add_all(corpus, file("raw/a.py", "x = 'caf\u00e9'"))
        (document,) = documents_of(corpus)
    assert document.text == "x = 'caf\u00e9'\n"
    assert (document.source, document.language, document.media_type) == (
        "raw/a.py",
        "python",
        "text/x-python",
    )
    assert document.bytes == len(document.text) + 1
    assert document.group == document.id
    assert json.loads(document.meta) == {"encoding": "utf-8"}


def add_modules(corpus: Corpus) -> None:
    for n in range(40):
        code = f'def f{n}(x):\n    """Return the number {n} in a roundabout way."""\n'
        add_all(corpus, file(f"raw/m{n}.py", code))
    corpus.make_pairs()


def test_pairs_are_on_their_documents_side_and_the_cap_holds() -> None:
    fractions = {"validation_fraction": 0.25, "test_fraction": 0.25}
    with opened(**fractions) as corpus:
        add_modules(corpus)
        chat = {split: list(corpus.conversations(split)) for split in SPLITS}
        for split, conversations in chat.items():
            sources = (document.source for document in corpus.documents(split))
            modules = {source.removeprefix("raw/").removesuffix(".py") for source in sources}
            assert conversations
            assert {c.messages[0][1].split("`")[1].split(".")[0] for c in conversations} <= modules
            assert [c.id for c in conversations] == sorted(c.id for c in conversations)
        assert corpus.count_conversations() == {split: len(rows) for split, rows in chat.items()}
    with opened(**fractions, chat={"max_pairs": 20}) as capped:
        add_modules(capped)
        chosen = {split: {c.id for c in capped.conversations(split)} for split in SPLITS}
    assert sum(map(len, chosen.values())) == 20
    assert all(ids and ids <= {c.id for c in chat[split]} for split, ids in chosen.items())


def test_no_more_documents_are_parsed_than_the_pairs_take(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Document] = []

    def recording(document: Document, **limits: int) -> list[Conversation]:
        asked.append(document)
        return ask(document, **limits)

    monkeypatch.setattr("bhasa.documents.corpus.ask", recording)
    with opened(chat={"max_pairs": 7}) as corpus:
        add_modules(corpus)
    assert len(asked) == 7  # one pair each


def test_conversations_in_files_are_kept_whatever_the_cap() -> None:
    with opened(chat={"max_pairs": 0}) as corpus:
        add_all(corpus, file("raw/a.jsonl", CHAT))
        corpus.make_pairs()
        assert sum(corpus.count_conversations().values()) == 1


def test_a_pair_that_a_file_has_too_counts_once_and_stays_the_files() -> None:
    with opened() as corpus:
        add_modules(corpus)
        pairs = [c for split in SPLITS for c in corpus.conversations(split)]
    lines = [
        json.dumps({"messages": [{"role": role, "content": content} for role, content in pair.messages]})
        for pair in pairs
    ]
    with opened(chat={"max_pairs": 0}) as corpus:
        add_all(corpus, file("raw/talk.jsonl", "\n".join(lines)))
        add_modules(corpus)
        assert {c.id for split in SPLITS for c in corpus.conversations(split)} == {c.id for c in pairs}


def test_what_was_committed_outlives_the_block_under_the_same_identity(tmp_path: Path) -> None:
    path = tmp_path / "corpus"
    with Corpus(config(), path, "one") as corpus:
        add_all(corpus, file("raw/a.txt", "a text"))
        corpus.commit()
        add_all(corpus, file("raw/b.txt", "b text"))
    with Corpus(config(), path, "one") as corpus:
        assert [name for name, _, _ in corpus.accounts.known()] == ["raw/a.txt"]
        assert [document.source for document in documents_of(corpus)] == ["raw/a.txt"]
    with Corpus(config(), path, "two") as corpus:
        assert list(corpus.accounts.known()) == documents_of(corpus) == []


@pytest.mark.parametrize("content", [b"", b"no database at all" * 999, b"SQLite format 3\0" + bytes(9999)])
def test_a_file_that_is_no_corpus_is_begun_anew(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "corpus").write_bytes(content)
    with Corpus(config(), tmp_path / "corpus", "one") as corpus:
        assert [account.outcome for account in add_all(corpus, file("raw/a.txt", "a text"))] == ["kept"]


@settings(deadline=None)
@given(
    st.lists(st.text(alphabet="abc ", min_size=4, max_size=8), min_size=1, unique=True),
    st.lists(st.text(alphabet="abc ", min_size=4, max_size=8), max_size=8),
)
def test_a_document_never_changes_side_when_others_are_added(texts: list[str], more: list[str]) -> None:
    def sides(texts: list[str]) -> dict[str, str]:
        with opened(validation_fraction=0.2, test_fraction=0.3) as corpus:
            add_all(corpus, *(file(f"raw/{n}.txt", text) for n, text in enumerate(texts)))
            return {row.id: split for split in SPLITS for row in corpus.documents(split)}

    assert sides(texts).items() <= sides(more + texts).items()


@pytest.mark.parametrize("order", [1, -1])
def test_the_first_of_equal_texts_is_kept(order: int) -> None:
    files = [file("one/x.txt", "same text"), file("two/x.txt", "same text")][::order]
    with opened() as corpus:
        add_all(corpus, *files)
        assert [document.source for document in documents_of(corpus)] == [files[0].name]
