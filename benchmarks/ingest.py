"""`ingest` on corpora of growing size and on many small files: rate, and memory of all processes together."""

import random
import subprocess
import sys
import sysconfig
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from string import ascii_lowercase

import psutil

from benchmarks import options
from bhasa.measure.table import Row

TITLE = "Ingest: source code with copies and near copies, and small files"
SIZES, QUICK_SIZES = (100_000_000, 500_000_000, 5_000_000_000), (500_000, 1_000_000)
SMALL, QUICK_SMALL = 100_000, 300
RUN = """
import sys
from pathlib import Path
from bhasa.documents.config import IngestConfig
from bhasa.stages import ingest
from bhasa.tracking import NullTracker
config = IngestConfig.parse({"sources": [{"kind": "folder", "path": "raw"}]}, "benchmark")
paths = {name: Path("out", name) for name in ("documents", "chat", "accounts", "report", "page")}
workers = int(sys.argv[1])
ingest.run(config, executor="processes", workers=workers, raw=[Path("raw")], tracker=NullTracker(), **paths)
"""


def measure(given: options.Options) -> tuple[dict[str, float], list[Row]]:
    rows = []
    for size in QUICK_SIZES if given.quick else SIZES:
        rows += _run(f"{size / 1e6:,.0f} MB of source code", _source_code(size))
    count = QUICK_SMALL if given.quick else SMALL
    return {}, rows + _run(f"{count:,} small files", _small_files(count))


def _run(case: str, contents: Iterator[bytes]) -> list[Row]:
    with tempfile.TemporaryDirectory() as root:
        size = _write(Path(root, "raw"), contents)
        started = time.perf_counter()
        workers = str(psutil.cpu_count())
        process = subprocess.Popen([sys.executable, "-c", RUN, workers], cwd=root, stderr=subprocess.DEVNULL)
        peak = _Peak(process.pid)
        if process.wait():
            raise RuntimeError(f"ingest failed on {case}")
        seconds = time.perf_counter() - started
        print(f"{case}: {seconds:.1f} s, {peak.bytes / 1e6:,.0f} MB", file=sys.stderr, flush=True)
    memory = f"at most {peak.bytes / 1e6:,.0f} MB in all processes together"
    return [Row(case, "bhasa", figure=size / seconds / 1e6, unit="MB/s", note=memory)]


class _Peak(threading.Thread):
    """The most memory that a process and its children have at a time, looked at every tenth of a second."""

    def __init__(self, pid: int) -> None:
        super().__init__(daemon=True)
        self.bytes, self._pid = 0, pid
        self.start()

    def run(self) -> None:
        try:
            process = psutil.Process(self._pid)
            while process.is_running():
                family = [process, *process.children(recursive=True)]
                self.bytes = max(self.bytes, sum(member.memory_info().rss for member in family))
                time.sleep(0.1)
        except psutil.Error:  # it has ended
            return


def _write(folder: Path, contents: Iterator[bytes]) -> int:
    """Files of at most 500 to a folder, and a few conversations to tune on; the bytes of all."""
    folder.mkdir()
    talk = '{"messages": [{"role": "user", "content": "%d?"}, {"role": "assistant", "content": "more"}]}\n'
    size = (folder / "talk.jsonl").write_bytes("".join(talk % n for n in range(200)).encode())
    for number, content in enumerate(contents):
        below = folder / f"{number // 500:05d}"
        below.mkdir(exist_ok=True)
        size += (below / f"{number}.py").write_bytes(content)
    return size


def _source_code(size: int) -> Iterator[bytes]:
    """The library's own files in other letters each time: one in ten a copy, one in ten nearly one."""
    rng = random.Random(size)
    paths = sorted(Path(sysconfig.get_path("stdlib")).glob("*.py"))
    originals = [path.read_bytes() for path in paths if path.stat().st_size > 1000]
    made = rng.choice(originals)
    while size > 0:
        kind = rng.random()
        if kind > 0.2:
            letters = "".join(rng.sample(ascii_lowercase, 26))
            table = bytes.maketrans(ascii_lowercase.encode(), letters.encode())
            made = rng.choice(originals).translate(table)
        elif kind > 0.1:
            made += b"# %d\n" % rng.randrange(1 << 60)
        yield made
        size -= len(made)


def _small_files(count: int) -> Iterator[bytes]:
    rng = random.Random(count)
    for number in range(count):
        words = (str(rng.randrange(1 << 30)) for _ in range(20))
        yield f"value_{number} = '{' '.join(words)}'\n".encode()


if __name__ == "__main__":
    options.main("ingest", TITLE, measure)
