import errno
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bhasa.dataset import Document
from bhasa.documents.database import Database
from bhasa.documents.prepare import Prepared
from bhasa.documents.records import Conversation, Preference
from bhasa.documents.spool import Spool


def document(identifier: str, group: str = "train", text: str = "text", source: str = "raw/a") -> Document:
    return Document(identifier, group, "raw", source, "text/plain", "und", text, len(text.encode()), "{}")


def own_split(group: str) -> str:
    return group


ROWS = st.lists(
    st.builds(
        document,
        st.text("0123456789abcdef", min_size=4, max_size=4),
        st.sampled_from(["train", "test"]),
        st.text(),
    )
)


@given(rows=ROWS)
def test_every_document_comes_back_once_in_the_order_of_ids(
    rows: list[Document], tmp_path_factory: pytest.TempPathFactory
) -> None:
    rows = [row for row in rows if not any("\ud800" <= c <= "\udfff" for c in row.text)]
    first: dict[str, Document] = {}
    with Database(tmp_path_factory.mktemp("spool") / "file") as database:
        spool = Spool(database, own_split)
        for row in rows:
            assert spool.add(Prepared(row)) == (first[row.id].source if row.id in first else None)
            first.setdefault(row.id, row)
        expected = [first[identifier] for identifier in sorted(first)]
        assert list(spool.documents()) == expected
        for split in ("train", "test"):
            of_split = [row for row in expected if row.group == split]
            assert list(spool.documents(split)) == of_split
            sizes = (len(of_split), sum(row.bytes for row in of_split))
            assert spool.count_documents().get(split, (0, 0)) == sizes


def test_conversations_come_back_as_they_were_and_pairs_up_to_a_number(tmp_path: Path) -> None:
    talks = [Conversation((("user", f"\u2603 {n}\n"), ("assistant", 'b"\\'))) for n in range(9)]
    with Database(tmp_path / "file") as database:
        spool = Spool(database, own_split)
        assert spool.add_conversation(talks[0], "train")
        assert not spool.add_conversation(talks[0], "train", made=True)
        for talk in talks[1:]:
            assert spool.add_conversation(talk, "test", made=True)
        spool.drop_made(3)
        kept = sorted(talks[1:], key=lambda talk: talk.id)[:3]
        assert list(spool.conversations("train")) == [talks[0]]
        assert list(spool.conversations("test")) == kept
        assert spool.count_conversations() == {"train": 1, "test": 3}


def test_preferences_of_one_prompt_are_in_one_split_and_equal_ones_count_once(tmp_path: Path) -> None:
    def preference(prompt: str, chosen: str, rejected: str) -> Preference:
        return Preference((("user", prompt),), (("assistant", chosen),), (("assistant", rejected),))

    pairs = [preference(f"q{n // 2}", f"good {n}", "bad") for n in range(40)]
    with Database(tmp_path / "spool") as database:
        spool = Spool(database, lambda group: "train" if group < "8" else "test")
        assert [spool.add_preference(pair) for pair in (*pairs, pairs[0])] == [*[True] * 40, False]
        splits = {split: list(spool.preferences(split)) for split in ("train", "test")}
        assert spool.count_preferences() == {split: len(found) for split, found in splits.items()}
    prompts = {split: {pair.prompt for pair in found} for split, found in splits.items()}
    assert all(prompts.values())
    assert not prompts["train"] & prompts["test"]
    assert sorted(splits["train"], key=lambda pair: pair.id) == splits["train"]
    assert {pair.id for found in splits.values() for pair in found} == {pair.id for pair in pairs}


FULL = """
import resource, signal, sys
from pathlib import Path
from bhasa.dataset import Document
from bhasa.documents.database import Database
from bhasa.documents.prepare import Prepared
from bhasa.documents.spool import Spool
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20))
with Database(Path(sys.argv[1])) as database:
    spool = Spool(database, str)
    for n in range(40):
        text = str(n) * 5_000_000
        spool.add(Prepared(Document(str(n), "train", "raw", "raw/a", "text/plain", "und", text, 0, "{}")))
"""


def test_a_disk_that_takes_no_more_is_said_as_the_system_says_it(tmp_path: Path) -> None:
    path = tmp_path / "file"
    failed = subprocess.run([sys.executable, "-c", FULL, str(path)], capture_output=True, text=True)
    assert f"[Errno {errno.EFBIG}] File too large: '{path}'" in failed.stderr.splitlines()[-1]
