"""Files that take long to parse are parsed once, by a real worker with a reader that counts its calls."""

import os
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from bhasa.documents.config import IngestConfig
from bhasa.documents.executors import Local
from bhasa.documents.parse_cache import ParseCache
from bhasa.documents.readers import READERS, Format
from bhasa.documents.reading import read_all
from bhasa.documents.sources.files import InputFile
from bhasa.documents.tasks import Task
from bhasa.documents.wire import pack_result

CONFIG = IngestConfig.parse({"sources": [{"kind": "folder", "path": "raw"}], "min_characters": 1}, "test")
READER = '''
import os
from bhasa.documents.records import Conversation, Text, quarantined
calls = 0
def read(content, name):
    """What it says tells how often it was asked in this process."""
    global calls
    calls += 1
    yield Text(f"call {calls}: {content.decode()}", {"a": 1}, part="one", group="g")
    yield quarantined("odd", "two")
    yield Conversation((("user", "Q"), ("assistant", "A")))
    if b"crash" in content:
        os._exit(1)
    if b"refuse" in content:
        raise quarantined("the rest is lost", "the rest")
'''


@pytest.fixture
def read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A function that reads contents in one worker; the results of each, packed."""
    (tmp_path / "counting_reader.py").write_text(READER)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")]))
    monkeypatch.setitem(READERS, ".counted", Format("x/y", "counting_reader"))

    def run(*contents: bytes, version: str = "1", config: IngestConfig = CONFIG) -> list[list[bytes]]:
        files = [InputFile(f"raw/{n}.counted", len(c), partial(bytes, c)) for n, c in enumerate(contents)]
        cache = ParseCache(tmp_path / "cache", version)
        with Local(config, 1, cache) as executor:
            read = read_all((Task(0, "raw", file) for file in files), executor)
            return [[pack_result(replace(result, record=b"")) for result in found] for _, found in read]

    return run


def entries(tmp_path: Path) -> list[Path]:
    return sorted((tmp_path / "cache").iterdir())


def test_what_did_not_change_is_not_parsed_again(read, tmp_path: Path) -> None:
    first = read(b"a", b"b", b"refuse")
    assert b"call 2: b" in first[1][0]
    assert len(first[2]) == 4
    assert len(entries(tmp_path)) == 3
    assert read(b"a", b"b", b"refuse") == first
    again = read(b"a", b"c", b"refuse")
    assert (again[0], again[2]) == (first[0], first[2])
    assert b"call 1: c" in again[1][0]


def test_cleaning_is_done_anew(read) -> None:
    read(b"a")
    strict = CONFIG.model_copy(update={"min_characters": 1000})
    assert b"shorter than min_characters" in read(b"a", config=strict)[0][0]


def test_another_version_parses_again(read, tmp_path: Path) -> None:
    read(b"a")
    read(b"a", version="2")
    assert len(entries(tmp_path)) == 2


def test_a_damaged_entry_is_parsed_again(read, tmp_path: Path) -> None:
    first = read(b"a")
    (entry,) = entries(tmp_path)
    whole = entry.read_bytes()
    for damaged in (b"", whole[:40], whole[:-1], whole[:50] + b"?" + whole[51:]):
        entry.write_bytes(damaged)
        assert read(b"a") == first
        assert entry.read_bytes() == whole


def test_what_a_worker_died_of_is_not_kept(read, tmp_path: Path) -> None:
    found = read(b"crash")
    assert b"its reader crashed" in found[0][-1]
    assert entries(tmp_path) == []


def test_entries_that_nobody_used_are_removed(read, tmp_path: Path) -> None:
    read(b"a", b"b")
    for entry in entries(tmp_path):
        os.utime(entry, (1000, 1000))
    read(b"a")
    ParseCache(tmp_path / "cache", "1").remove_unused(since=2000)
    assert len(entries(tmp_path)) == 1
    assert b"call 1: b" in read(b"b")[0][0]
