"""What one stage tells, written to disk at once; a thread or a later start sends it to MLflow.

A record is a folder below `.bhasa/tracking`: `calls.jsonl`, one call a line, of which the first says whose
it is; copies of the files that the calls name; and a second name of the training journal. It is locked while
its process lives and removed when MLflow has all of it, so nothing is lost by a kill or an unreachable store.
"""

import json
import os
import shutil
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from importlib.metadata import version
from pathlib import Path
from typing import Any, Self

from filelock import FileLock, Timeout

from bhasa.tracking.data_hash import dvc_hash

CALLS, JOURNAL, ARTIFACTS = "calls.jsonl", "journal.jsonl", "artifacts"
Call = dict[str, Any]


class Lines:
    """The JSON lines of a file that is being appended to; a line without its end is not read yet."""

    def __init__(self, path: Path) -> None:
        self.path, self._offset = path, 0

    def new(self) -> list[dict[str, Any]]:
        """What was appended since the last time; a line that is no JSON object is passed over."""
        try:
            with self.path.open("rb") as stream:
                stream.seek(self._offset)
                text = stream.read()
        except FileNotFoundError:
            return []
        whole = text[: text.rfind(b"\n") + 1]
        self._offset += len(whole)
        return [value for line in whole.splitlines() if (value := _parsed(line)) is not None]


def _parsed(line: bytes) -> dict[str, Any] | None:
    with suppress(ValueError):
        value = json.loads(line)
        return value if isinstance(value, dict) else None
    return None


class Record:
    """One record's folder, held by this process."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.calls, self.journal = Lines(folder / CALLS), Lines(folder / JOURNAL)
        self._lock = FileLock(f"{folder}.lock", thread_local=False)  # the thread that sends releases it
        self._lock.acquire(timeout=0)

    @classmethod
    def begin(cls, records: Path, opening: Mapping[str, Any]) -> Self:
        """A new record below the folder `records`."""
        records.mkdir(parents=True, exist_ok=True)
        record = cls(records / f"{time.time_ns()}-{os.getpid()}")
        record.folder.mkdir()
        record.append("open", **opening)
        return record

    @classmethod
    def left_in(cls, records: Path) -> Iterator[Self]:
        """Take over the records whose process is gone, the oldest first."""
        for folder in sorted(path for path in records.glob("*") if path.is_dir()):
            try:
                record = cls(folder)
            except Timeout:
                continue
            yield record

    def append(self, call: str, **details: Any) -> None:
        with (self.folder / CALLS).open("a", encoding="utf-8") as stream:
            stream.write(json.dumps({"call": call, **details}, default=str) + "\n")

    def keep(self, path: Path, name: str) -> None:
        """Copy a file or folder, so that it can be sent as it is now."""
        target = self.folder / ARTIFACTS / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if path.is_dir():
            shutil.copytree(path, target, dirs_exist_ok=True)
        else:
            shutil.copyfile(path, target)

    def release(self) -> None:
        """Leave it to the next start."""
        self._lock.release()

    def remove(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)
        Path(self._lock.lock_file).unlink(missing_ok=True)
        self._lock.release()


class Recorder:
    """A `Tracker` whose calls end on the disk: nothing in it waits for the store."""

    def __init__(self, record: Record, warn: Callable[[str], None]) -> None:
        self.record = record
        self._warn: Callable[[str], None] | None = warn

    def log_params(self, values: Mapping[str, Any]) -> None:
        self._append("params", values=dict(values))

    def log_metrics(self, values: Mapping[str, float], step: int | None = None) -> None:
        numbers = {name: float(value) for name, value in values.items()}
        self._append("metrics", values=numbers, step=step, time=now())

    @contextmanager
    def follow(self, journal: Path) -> Iterator[None]:
        with self._harmless():
            journal.touch()
            os.link(journal, self.record.folder / JOURNAL)  # outlives the run's own folder
        yield

    def log_file(self, path: Path) -> None:
        with self._harmless():
            self.record.keep(path, path.name)
            self.record.append("artifact", name=path.name)

    log_folder = log_file

    def log_input(self, name: str, path: Path, context: str) -> None:
        with self._harmless():
            digest = dvc_hash(path)
            self.record.append("input", name=name, digest=digest, uri=path.as_posix(), context=context)

    def register_model(
        self,
        name: str,
        code: Path,
        folder: Path,
        *,
        params: Mapping[str, int | float],
        packages: Sequence[str],
        figures: Mapping[str, float | str],
    ) -> None:
        self._append(
            "register",
            name=name,
            code=str(code.absolute()),
            folder=str(folder.absolute()),
            content=dvc_hash(folder),
            params=dict(params),
            packages=[f"{package}=={version(package)}" for package in packages],
            figures=dict(figures),
        )

    def figures(self, values: Mapping[str, float], note: str) -> None:
        """The few figures and the sentences that stand for the pipeline run as a whole."""
        self._append("figures", values=dict(values), note=note, time=now())

    def end(self, status: str) -> None:
        self._append("end", status=status)

    def _append(self, call: str, **details: Any) -> None:
        with self._harmless():
            self.record.append(call, **details)

    @contextmanager
    def _harmless(self) -> Iterator[None]:
        """A full disk must not end a run by what is told of it: one line, and the run goes on."""
        try:
            yield
        except OSError as error:
            if self._warn:
                self._warn(f"not all of this run is tracked: {error}")
            self._warn = None


def now() -> int:
    """Milliseconds, as MLflow counts."""
    return time.time_ns() // 1_000_000


def say(line: str) -> None:
    print(f"bhasa: {line}", file=sys.stderr, flush=True)
