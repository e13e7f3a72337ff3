import os
import shutil
import signal
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bhasa import journal
from bhasa.errors import BhasaError, FileError, UserError
from bhasa.journal import (
    Journal,
    publish,
    read_json,
    require_space,
    sha256_file,
    sha256_folder,
    write_json,
    write_text,
)

KILLED_WHILE_WRITING = """
import os, signal, sys
from pathlib import Path
from bhasa.journal import publish
with publish(Path(sys.argv[1])) as draft:
    if sys.argv[2] == "folder":
        draft.mkdir()
        draft = draft / "part"
    draft.write_text("half of the n")
    os.kill(os.getpid(), signal.SIGKILL)
"""


def make(target: Path, kind: str, text: str) -> None:
    with publish(target) as draft:
        if kind == "folder":
            draft.mkdir()
            draft = draft / "part"
        draft.write_text(text)


def content(target: Path) -> str:
    return (target / "part" if target.is_dir() else target).read_text()


@pytest.mark.parametrize("kind", ["file", "folder"])
def test_publish_replaces_the_old_and_leaves_nothing_beside_it(tmp_path: Path, kind: str) -> None:
    target = tmp_path / "deep" / "result"
    make(target, kind, "old")
    make(target, kind, "new")
    assert content(target) == "new"
    assert [p.name for p in target.parent.iterdir()] == ["result"]


def test_publish_drops_the_files_that_the_new_folder_lacks(tmp_path: Path) -> None:
    target = tmp_path / "result"
    make(target, "folder", "old")
    with publish(target) as draft:
        draft.mkdir()
        (draft / "other").write_text("new")
    assert [p.name for p in target.iterdir()] == ["other"]


@pytest.mark.parametrize(("old", "new"), [("file", "folder"), ("folder", "file")])
def test_publish_replaces_a_file_by_a_folder_and_back(tmp_path: Path, old: str, new: str) -> None:
    target = tmp_path / "result"
    make(target, old, "old")
    make(target, new, "new")
    assert content(target) == "new"
    assert [p.name for p in tmp_path.iterdir()] == ["result"]


@pytest.mark.parametrize("kind", ["file", "folder"])
def test_publish_keeps_the_old_when_the_block_raises(tmp_path: Path, kind: str) -> None:
    target = tmp_path / "result"
    make(target, kind, "old")
    with pytest.raises(ZeroDivisionError), publish(target) as draft:  # noqa: PT012
        if kind == "folder":
            draft.mkdir()
        else:
            draft.write_text("half")
        _ = 1 / 0
    assert content(target) == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["result"]


@pytest.mark.parametrize("kind", ["file", "folder"])
def test_publish_keeps_the_old_when_the_process_is_killed(tmp_path: Path, kind: str) -> None:
    target = tmp_path / "result"
    make(target, kind, "old")
    command = [sys.executable, "-c", KILLED_WHILE_WRITING, str(target), kind]
    assert subprocess.run(command).returncode == -signal.SIGKILL
    assert content(target) == "old"
    make(target, kind, "new")
    assert content(target) == "new"


def die_at(number: int) -> None:
    """From now on this process is killed before or after the step `number` of putting something in place."""
    steps = 0

    def count() -> None:
        nonlocal steps
        steps += 1
        if steps == number:
            os.kill(os.getpid(), signal.SIGKILL)

    def counted(step: Callable) -> Callable:
        def run(*args, **kwargs):
            count()
            result = step(*args, **kwargs)
            count()
            return result

        return run

    for name in ("_exchange", "_sync", "_remove", "_allow_reading"):
        setattr(journal, name, counted(getattr(journal, name)))
    Path.rename, Path.replace = counted(Path.rename), counted(Path.replace)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # a fork beside threads of other tests
@pytest.mark.parametrize("atomic", [True, False])
@pytest.mark.parametrize(("old", "new"), [("folder", "folder"), ("file", "folder"), ("folder", "file")])
def test_killed_at_any_step_of_publishing_the_target_is_the_old_or_the_new(
    tmp_path: Path, atomic: bool, old: str, new: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not atomic:
        monkeypatch.setattr(journal, "_exchange", lambda one, other: False)
    found = []
    for number in range(1, 100):
        target = tmp_path / str(number) / "result"
        make(target, old, "old")
        child = os.fork()
        if child == 0:
            die_at(number)
            make(target, new, "new")
            os._exit(0)
        code = os.waitpid(child, 0)[1]
        if atomic:
            assert content(target) in ("old", "new")
        with pytest.raises(ZeroDivisionError), publish(target):  # the next start
            _ = 1 / 0
        found.append(content(target))
        assert [p.name for p in target.parent.iterdir()] == ["result"]
        if code == 0:
            break
        assert code == signal.SIGKILL
    assert found == sorted(found, reverse=True)  # from some step on it is the new one, for good
    assert set(found) == {"old", "new"}


def test_publish_leaves_alone_what_a_living_process_writes(tmp_path: Path) -> None:
    draft = tmp_path / f".result.{os.getppid()}.draft"
    draft.write_text("half")
    make(tmp_path / "result", "file", "new")
    assert draft.exists()


def test_everything_reaches_the_disk_before_it_is_put_in_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: set[int] = set()
    fsync, put_in_place = os.fsync, journal._put_in_place

    def note(descriptor: int) -> None:
        fsync(descriptor)
        synced.add(os.fstat(descriptor).st_ino)

    def put(draft: Path, target: Path) -> None:
        assert synced == {path.stat().st_ino for path in (draft, *draft.rglob("*"))}
        synced.clear()
        put_in_place(draft, target)

    monkeypatch.setattr(os, "fsync", note)
    monkeypatch.setattr(journal, "_put_in_place", put)
    with publish(tmp_path / "result") as draft:
        (draft / "deep").mkdir(parents=True)
        for name in ("a", "deep/b"):
            (draft / name).write_text(name)
    assert synced == {tmp_path.stat().st_ino}  # and then the folder that has the new name


@pytest.mark.parametrize("umask", [0o022, 0o027, 0o077])
def test_whoever_may_read_a_new_file_may_read_what_is_published(tmp_path: Path, umask: int) -> None:
    earlier = os.umask(umask)
    try:
        with publish(tmp_path / "result") as draft:
            (draft / "deep").mkdir(parents=True, mode=0o700)
            (draft / "deep" / "weights").touch(mode=0o600)
            (draft / "program").touch(mode=0o700)
        modes = {p.name: stat.S_IMODE(p.stat().st_mode) for p in tmp_path.rglob("*")}
        assert os.umask(umask) == umask
    finally:
        os.umask(earlier)
    assert modes == {
        "result": 0o777 & ~umask,
        "deep": 0o777 & ~umask,
        "weights": 0o666 & ~umask,
        "program": 0o700 | 0o666 & ~umask,
    }


def test_publish_keeps_what_a_link_points_to(tmp_path: Path) -> None:
    make(tmp_path / "cache", "folder", "old")
    (tmp_path / "result").symlink_to("cache")
    make(tmp_path / "result", "folder", "new")
    assert content(tmp_path / "cache") == "old"
    assert content(tmp_path / "result") == "new"


def test_write_text_keeps_newlines_as_given(tmp_path: Path) -> None:
    write_text(tmp_path / "a", "one\ntwo\r\n")
    assert (tmp_path / "a").read_bytes() == b"one\ntwo\r\n"


def test_json_round_trip_keeps_the_order(tmp_path: Path) -> None:
    values = {"z": 1, "a": [1.5, None, "\u0905"]}
    write_json(tmp_path / "a.json", values)
    assert list(read_json(tmp_path / "a.json").items()) == list(values.items())
    assert (tmp_path / "a.json").read_bytes().endswith(b"}\n")


def test_nan_is_not_written_and_the_old_file_stays(tmp_path: Path) -> None:
    write_json(tmp_path / "a.json", {"loss": 1.0})
    with pytest.raises(ValueError, match="JSON compliant"):
        write_json(tmp_path / "a.json", {"loss": float("nan")})
    assert read_json(tmp_path / "a.json") == {"loss": 1.0}


@pytest.mark.parametrize("text", ["", '{"a": 1', "[1, 2]", "\x00"])
def test_a_broken_report_is_the_users_matter(tmp_path: Path, text: str) -> None:
    (tmp_path / "a.json").write_text(text)
    with pytest.raises(FileError, match=r"a\.json: "):
        read_json(tmp_path / "a.json")


def test_a_missing_report_is_the_users_matter(tmp_path: Path) -> None:
    with pytest.raises(FileError, match="no such file"):
        read_json(tmp_path / "a.json")


def test_folder_hash_sees_names_and_content_but_not_order_of_making(tmp_path: Path) -> None:
    for folder, names in (("one", "ab"), ("two", "ba"), ("renamed", "ac")):
        (tmp_path / folder / "sub").mkdir(parents=True)
        for name in names:
            (tmp_path / folder / "sub" / name).write_text("x")
    same = sha256_folder(tmp_path / "one")
    assert sha256_folder(tmp_path / "two") == same
    assert sha256_folder(tmp_path / "renamed") != same
    (tmp_path / "two" / "sub" / "b").write_text("y")
    assert sha256_folder(tmp_path / "two") != same


def test_file_hash_is_sha256(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"abc")
    assert sha256_file(tmp_path / "a").startswith("ba7816bf8f01cfea")


def test_space_is_asked_for_where_the_folder_will_lie(tmp_path: Path) -> None:
    free = shutil.disk_usage(tmp_path).free
    require_space(tmp_path / "not" / "yet", free // 2, "a model")
    with pytest.raises(UserError, match=r"a model needs .* free; make room"):
        require_space(tmp_path / "not" / "yet", free * 2, "a model")


@given(st.lists(st.dictionaries(st.text(), st.one_of(st.integers(), st.text(), st.booleans()))))
def test_journal_gives_back_what_was_appended(
    tmp_path_factory: pytest.TempPathFactory, events: list[dict]
) -> None:
    journal = Journal(tmp_path_factory.mktemp("journal") / "a.jsonl")
    for event in events:
        journal.append(event)
    journal.sync()
    assert journal.read() == events


def test_journal_ignores_a_torn_last_line(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "a.jsonl")
    journal.append({"step": 1})
    with journal.path.open("a") as stream:
        stream.write('{"step": 2, "lo')
    assert journal.read() == [{"step": 1}]


@pytest.mark.parametrize("line", [b"{bad}", b"[1]", b"\xff", b""])
def test_a_line_that_is_no_event_is_named(tmp_path: Path, line: bytes) -> None:
    journal = Journal(tmp_path / "a.jsonl")
    journal.append({"step": 1})
    with journal.path.open("ab") as stream:
        stream.write(line + b"\n")
    with pytest.raises(BhasaError, match=r"a\.jsonl: line 2 is no JSON object"):
        journal.read()


def test_journal_knows_what_it_was_at_a_mark_and_goes_back_to_it(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "new" / "a.jsonl")
    assert journal.read() == []
    assert journal.begins_with(journal.mark())
    for step in range(4):
        journal.append({"step": step})
        if step == 1:
            mark = journal.mark()
    assert journal.begins_with(mark)
    journal.truncate(mark.size)
    assert journal.mark() == mark
    journal.append({"step": 9})
    assert [event["step"] for event in journal.read()] == [0, 1, 9]
    journal.truncate(mark.size - 1)
    assert not journal.begins_with(mark)
    journal.path.unlink()
    assert not journal.begins_with(mark)


def test_a_journal_that_is_not_there_is_made_by_truncating(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "a.jsonl")
    journal.truncate(0)
    assert journal.path.read_bytes() == b""


@pytest.mark.parametrize(
    ("count", "text"),
    [(0, "0 bytes"), (999, "999 bytes"), (1000, "1.0 kB"), (12_345_678, "12.3 MB"), (2.5e12, "2500.0 GB")],
)
def test_a_size_has_the_unit_that_fits(count: float, text: str) -> None:
    assert journal.size(count) == text


def test_too_little_space_is_said_in_numbers_that_are_not_zero(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=30_000))
    with pytest.raises(UserError, match=r"needs 40.0 MB, the disk has 30.0 kB free"):
        require_space(tmp_path, 40_000_000, "a model")
