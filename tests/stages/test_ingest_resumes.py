"""`ingest` that is killed or stopped goes on where it was, and writes the same bytes."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import bhasa
from bhasa.journal import sha256_folder

RUN = """
import os, signal, sys
from pathlib import Path
from bhasa.documents import gathering, tables
from bhasa.documents.config import IngestConfig
from bhasa.documents.corpus import Corpus
from bhasa.errors import BhasaError
from bhasa.stages import ingest
from bhasa.tracking import NullTracker

place, number, signum = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
gathering.SHARD_FILES = 7
owner, name = {"add": (Corpus, "add"), "commit": (Corpus, "commit"), "pairs": (Corpus, "make_pairs"),
               "near": (Corpus, "drop_near_duplicates"), "write": (tables, "write_conversations")}[place]
original, calls = getattr(owner, name), []

def counted(*arguments):
    calls.append(1)
    found = original(*arguments)
    if len(calls) == number:
        os.kill(os.getpid(), signum)
    return found

setattr(owner, name, counted)
config = IngestConfig.parse({"sources": [{"kind": "folder", "path": "data/raw"}]}, "test")
paths = {name: Path("out", name) for name in ("documents", "chat", "accounts", "report", "page")}
how = {"executor": "processes", "workers": 1, "raw": [Path("data/raw")], "tracker": NullTracker()}
try:
    ingest.run(config, **how, **paths)
except BhasaError as error:
    print(error, file=sys.stderr)
    sys.exit(error.exit_code)
"""
LINES = "print('line %d of file %d, which is not like the others: %s')\n"


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    raw = tmp_path / "data" / "raw"
    raw.mkdir(parents=True)
    for n in range(60):
        code = f'def f{n}(x):\n    """Return the number {n} in a roundabout way."""\n'
        (raw / f"m{n}.py").write_text(code + LINES % (n, n, n**9))
    (raw / "copy.py").write_text((raw / "m7.py").read_text())
    (raw / "brief.txt").write_text("too short")
    (raw / "talk.jsonl").write_text('{"text": "%s"}\n{\n' % ("word " * 30))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(
    place: str = "add", number: int = 0, signum: int = signal.SIGKILL
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", RUN, place, str(number), str(int(signum))],
        env=os.environ | {"PYTHONPATH": str(Path(bhasa.__file__).parents[1]), "DVC_ROOT": str(Path.cwd())},
        capture_output=True,
        text=True,
    )


def written() -> str:
    """A hash of all that was written; nothing else is left."""
    written = sorted(path.name for path in Path("out").iterdir())
    assert written == ["accounts", "chat", "documents", "page", "report"]
    assert "<pre><bdi>too short" in Path("out/page").read_text()
    assert list(Path(".bhasa/ckpt/ingest").iterdir()) == []
    return sha256_folder(Path("out"))


@pytest.mark.slow
def test_the_same_bytes_wherever_it_was_killed(project: Path) -> None:
    assert run().returncode == 0
    expected = written()
    places = [("add", 3), ("add", 40), ("commit", 4), ("near", 1), ("pairs", 1), ("write", 1)]
    for place, number in places:
        killed = run(place, number)
        assert killed.returncode == -signal.SIGKILL, killed.stderr
        again = run()
        assert again.returncode == 0, again.stderr
        goes_on = "files were read before; reading goes on" in again.stderr
        assert goes_on == ((place, number) != ("add", 3))
        assert written() == expected


@pytest.mark.usefixtures("signals_of_a_terminal")
@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_saves_what_was_read(project: Path, signum: signal.Signals) -> None:
    stopped = run("add", 10, signum)
    assert stopped.returncode == 128 + signum, stopped.stderr
    assert "what was read so far is kept" in stopped.stderr
    assert "ingest: 10 files were read before; reading goes on" in run().stderr
    written()


def test_a_file_that_changed_meanwhile_makes_reading_begin_anew(project: Path) -> None:
    run("add", 30)
    (project / "data" / "raw" / "m1.py").write_text(
        "print('another text than before, as long as it must be')\n" * 2
    )
    again = run()
    assert "ingest: raw/m1.py is not as it was, so reading starts anew" in again.stderr
    assert json.loads(Path("out/report").read_text())["files"]["in"] == 63
    written()
