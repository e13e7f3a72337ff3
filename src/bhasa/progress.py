"""Progress of long work: a rich bar on a terminal, plain lines in a log; always rate and time left."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

PLAIN_EVERY_SECONDS = 10.0


class Progress(Protocol):
    def advance(self, amount: float, note: str = "") -> None:
        """`amount` more units are done; `note` is a few words of state, such as the loss."""


@contextmanager
def progress(what: str, total: float, unit: str, done: float = 0) -> Iterator[Progress]:
    """Show `what` going from `done` to `total` units, on standard error."""
    if sys.stderr.isatty():
        with _bar(what, total, unit, done) as bar:
            yield bar
    else:
        lines = _Lines(what, total, unit, done)
        yield lines
        lines.close()


class _Lines:
    def __init__(self, what: str, total: float, unit: str, done: float) -> None:
        self.what, self.total, self.unit = what, total, unit
        self.done = self.first = done
        self.note = ""
        self.started = time.monotonic()
        self.shown = self.started

    def advance(self, amount: float, note: str = "") -> None:
        self.done += amount
        self.note = note or self.note
        if time.monotonic() - self.shown >= PLAIN_EVERY_SECONDS:
            self.shown = time.monotonic()
            self._print(f", {_clock((self.total - self.done) / max(self._rate(), 1e-9))} left")

    def close(self) -> None:
        self._print(f", took {_clock(time.monotonic() - self.started)}")

    def _rate(self) -> float:
        return (self.done - self.first) / max(time.monotonic() - self.started, 1e-9)

    def _print(self, tail: str) -> None:
        note = f" | {self.note}" if self.note else ""
        counts = f"{self.done:,.0f}/{self.total:,.0f} {self.unit}"
        print(
            f"{self.what}: {counts}, {self._rate():,.0f} {self.unit}/s{tail}{note}",
            file=sys.stderr,
            flush=True,
        )


@contextmanager
def _bar(what: str, total: float, unit: str, done: float) -> Iterator[Progress]:
    from rich.console import Console
    from rich.progress import BarColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as RichProgress

    started = time.monotonic()
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.completed:,.0f}/{task.total:,.0f} " + unit),
        TextColumn("{task.fields[rate]:,.0f} " + unit + "/s"),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}"),
    )
    with RichProgress(*columns, console=Console(stderr=True)) as rich_progress:
        task = rich_progress.add_task(what, total=total, completed=int(done), rate=0.0, note="")
        count = 0.0

        class Bar:
            def advance(self, amount: float, note: str = "") -> None:
                nonlocal count
                count += amount
                rate = count / max(time.monotonic() - started, 1e-9)
                rich_progress.update(task, advance=amount, rate=rate)
                if note:
                    rich_progress.update(task, note=note)

        yield Bar()


def _clock(seconds: float) -> str:
    minutes, seconds = divmod(round(seconds), 60)
    return (
        f"{minutes // 60}:{minutes % 60:02d}:{seconds:02d}" if minutes >= 60 else f"{minutes}:{seconds:02d}"
    )
