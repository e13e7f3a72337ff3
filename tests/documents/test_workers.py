"""Real workers, with readers that misbehave."""

import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from bhasa.documents import workers
from bhasa.documents.config import IngestConfig
from bhasa.documents.records import Refused
from bhasa.documents.wire import Job, Result
from bhasa.documents.workers import Processes
from bhasa.errors import BhasaError

CONFIG = IngestConfig.parse({"sources": [{"kind": "folder", "path": "raw"}], "min_characters": 1}, "test")
READER = '''
import ctypes, os, resource, signal, socket, subprocess, threading, time
from bhasa.documents.records import Text, quarantined

def read(content, name):
    """Each word of the content is a record, or something else to do."""
    for word in content.decode().split():
        if word.startswith("!"):
            globals()[word[1:]]()
        else:
            yield Text(word)

def crash(): os.kill(os.getpid(), signal.SIGSEGV)
def leave(): os._exit(0)
def sleep(): time.sleep(1000)
def loop():
    while True: pass
def eat(): bytearray(1 << 40)
hoarded = []
def hoard(): hoarded.append(bytearray(600 << 20))  # two of these are more than one file may take
def recurse(): recurse()
def fail(): raise ZeroDivisionError
def refuse(): raise quarantined("no more")
def must_fail(what, *arguments):
    try: what(*arguments)
    except (OSError, RuntimeError, LookupError): return
    os._exit(0)
def open_file(): must_fail(open, __file__)
def open_native(): ctypes.CDLL(None).open(__file__.encode(), 0) == -1 or os._exit(0)
def connect(): must_fail(socket.socket)
def pipe(): must_fail(os.pipe)
def import_late():
    must_fail(__import__, "wave")
def codec(): assert b"\\xe9".decode("cp1254")
'''


@pytest.fixture
def reader(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The name of a module that workers can import."""
    (tmp_path / "odd_reader.py").write_text(READER)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")]))
    return "odd_reader"


def read(reader: str, *contents: str, count: int = 1) -> list[list[str]]:
    """The words of each content, in one batch, and the reasons of what was refused."""
    jobs = [
        Job(f"raw/{n}", "text/plain", "und", "raw", reader, content.encode())
        for n, content in enumerate(contents)
    ]
    found: list[list[str]] = [[]]
    with Processes(CONFIG, count) as processes:
        for results in processes.map([jobs]):
            for result in results:
                if result is None:
                    found.append([])
                else:
                    found[-1].append(_text(result))
    return found[:-1]


def _text(result: Result) -> str:
    if isinstance(result.found, Refused):
        return f"{result.found.outcome}: {result.found.reason}" + f" ({result.found.part})" * bool(
            result.found.part
        )
    return result.found.document.text.strip()


@pytest.mark.parametrize(
    ("deed", "reason"),
    [
        ("!crash", "its reader crashed"),
        ("!leave", "its reader crashed"),
        ("!eat", "takes more memory to read than it may"),
        ("!fail", "its reader failed (ZeroDivisionError)"),
        ("!recurse", "its reader failed (RecursionError)"),
        ("!refuse", "no more"),
    ],
)
def test_what_a_reader_does_is_its_files_fault_alone(reader: str, deed: str, reason: str) -> None:
    found = read(reader, "a b", f"c d {deed} e", "f g")
    assert found[0] == ["a", "b"]
    assert found[1][:2] == ["c", "d"]
    assert found[1][2].removesuffix(" (after record 2)") == f"quarantined: {reason}"
    assert found[2] == ["f", "g"]
    assert len(found) == 3


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the kernel does not hold a process to it")
def test_what_was_read_before_in_the_same_process_decides_nothing(reader: str) -> None:
    assert read(reader, *["a !hoard b"] * 3) == [["a", "b"]] * 3
    assert read(reader, "a !hoard !hoard b") == [
        ["a", "quarantined: takes more memory to read than it may (after record 1)"]
    ]


def test_a_reader_can_open_nothing(reader: str) -> None:
    deeds = ["open_file", "open_native", "connect", "pipe", "import_late", "codec"]
    assert read(reader, *[f"a !{deed} b" for deed in deeds]) == [["a", "b"]] * len(deeds)


def test_a_reader_that_is_not_installed_is_the_installations_fault() -> None:
    with pytest.raises(BhasaError, match=r"No module named 'no_such_reader'; `make setup` installs"):
        read("no_such_reader", "a")


def test_a_worker_that_does_not_answer_is_replaced(reader: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "seconds_for", lambda size: 0.1)
    assert read(reader, "a", "b !sleep", "c") == [
        ["a"],
        ["b", "quarantined: its reader does not answer (after record 1)"],
        ["c"],
    ]


@pytest.mark.slow
def test_processor_time_ends_at_last(reader: str, tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(
        "import bhasa.documents.sandbox as sandbox\nsandbox.PROCESSOR_SECONDS = 1\n"
    )
    assert read(reader, "a !loop b", "c") == [
        ["a", "quarantined: takes more processor time to read than it may (after record 1)"],
        ["c"],
    ]


def test_results_are_the_same_for_any_number_of_workers(reader: str) -> None:
    contents = [f"{n} !fail" if n % 7 == 3 else " ".join(map(str, range(n))) for n in range(40)]
    found = [read(reader, *contents, count=count) for count in (1, 2, 3)]
    assert found[0] == found[1] == found[2]


def test_what_is_read_ahead_is_bounded(reader: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "AHEAD_BYTES", 1000)
    asked = []

    def batches() -> Iterator[list[Job]]:
        for n in range(50):
            asked.append(n)
            yield [Job(f"raw/{n}", "text/plain", "und", "raw", reader, b"x" * 400)]

    with Processes(CONFIG, 2) as processes:
        for taken, results in enumerate(processes.map(batches())):
            assert len(asked) <= taken + 4
            assert len(list(results)) == 2
    assert len(asked) == 50


def test_leaving_the_block_early_ends_all_workers(reader: str) -> None:
    jobs = [[Job(f"raw/{n}", "text/plain", "und", "raw", reader, b"a !sleep")] for n in range(9)]
    with Processes(CONFIG, 2) as processes:
        next(processes.map(jobs))
        started = [worker._process for worker in processes._workers]
    assert all(process.poll() == -signal.SIGKILL for process in started)
