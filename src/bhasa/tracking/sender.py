"""A thread that sends records to MLflow, beside the run that writes them.

It reads what a stage appends to its record, the training journal included. A call that fails because the
store is not there is tried again after longer and longer pauses; one that the store refuses is dropped. What
stands in the store is read from there when a run is opened again, so nothing is missing or there twice,
wherever the process before was killed.
"""

import sqlite3
import time
from collections.abc import Callable
from pathlib import Path
from threading import Event, Thread
from typing import TypeVar

import requests
import sqlalchemy.exc
from filelock import Timeout
from mlflow.exceptions import MlflowException

from bhasa.tracking.record import Record, say
from bhasa.tracking.run import MlflowRun
from bhasa.tracking.store import Store

POLL_SECONDS = 2.0
FIRST_PAUSE, LONGEST_PAUSE = 1.0, 60.0
LAST_TRIES = 3
PATIENCE, LONG_PATIENCE = 10.0, 300.0
"""Seconds that the end of a stage waits for a server that does not answer; for one that takes a model, or for
a database in a file, which is made in seconds, locked or broken and says so, but never silent."""

KEPT_SECONDS = 30 * 24 * 3600.0
"""How long a record that the store does not take is tried again at every start."""

T = TypeVar("T")


class GivenUp(Exception):
    """The stage is at its end and the store is not there."""


class Sender(Thread):
    """Sends what earlier processes left, then follows `record` until `close`."""

    def __init__(self, store: Store, record: Record, records: Path) -> None:
        super().__init__(daemon=True, name="tracking")
        self.store, self.record, self.records = store, record, records
        self.opened: MlflowRun | None = None
        self._closing, self._abandoned = Event(), False
        self._answered = time.monotonic()
        self._failure: Exception | None = None
        self._refused: Exception | None = None

    def run(self) -> None:
        try:
            send_left(self.store, self.records)
            self._follow()
            self.record.remove()
        except GivenUp:
            self.record.release()
        except Exception as error:  # whatever it is, it is not the run's
            self._refused = error
            self.record.release()

    def close(self) -> None:
        """Wait until everything is sent, but not for a store that does not answer."""
        self._closing.set()
        begun = time.monotonic()
        while self.is_alive() and time.monotonic() - max(begun, self._answered) < self._patience():
            self.join(0.05)
        self._abandoned = True
        if self.record.folder.exists():
            reason = one_line(self._failure or self._refused) or "it does not answer"
            say(f"MLflow has not all of this run: {reason}; the next start sends what is missing")
        elif self._refused:
            say(f"MLflow refused a part of this run: {one_line(self._refused)}")

    def _patience(self) -> float:
        uploading = self.opened is not None and self.opened.uploading
        return LONG_PATIENCE if uploading or self.store.local else PATIENCE

    def _follow(self) -> None:
        opening, *calls = self.record.calls.new()
        run = self.opened = self._try(lambda: MlflowRun(self.store, opening))
        if run is None:
            raise GivenUp
        closing = False
        while True:
            for step in run.due(self.record, calls):
                self._try(step)
            if closing:
                return
            closing = self._closing.wait(POLL_SECONDS)  # known before reading: nothing is written after it
            calls = self.record.calls.new()

    def _try(self, step: Callable[[], T]) -> T | None:
        """The result, or None of what the store refuses."""
        pause, last_tries = FIRST_PAUSE, LAST_TRIES
        while True:
            try:
                result = step()
                self._answered, self._failure = time.monotonic(), None
                return result
            except Exception as error:
                if not _passing(error):
                    self._refused = error
                    return None
                self._failure = error
            if self._closing.is_set():
                last_tries -= 1
                if self._abandoned or last_tries == 0:
                    raise GivenUp
                time.sleep(FIRST_PAUSE)
            else:
                self._closing.wait(pause)
                pause = min(2 * pause, LONGEST_PAUSE)


def send_left(store: Store, records: Path) -> None:
    """Send what dead processes left, and mark their runs as killed; leave it where the store is not there."""
    for record in Record.left_in(records):
        try:
            _send_whole(store, record)
        except Exception as error:
            if time.time() - record.folder.stat().st_mtime > KEPT_SECONDS:
                record.remove()
                say(f"MLflow never took what is left of a run: {one_line(error)}; {record.folder} is removed")
                continue
            record.release()
            if _passing(error):
                return


def _send_whole(store: Store, record: Record) -> None:
    if calls := record.calls.new():
        run = MlflowRun(store, calls[0])
        for step in run.due(record, calls[1:]):
            try:
                step()
            except Exception as error:
                if _passing(error):
                    raise
        if calls[-1]["call"] != "end":
            run.end("KILLED")
    record.remove()


def _passing(error: Exception) -> bool:
    """Whether the same call may work later: the store is away, locked or busy."""
    if isinstance(error, MlflowException):
        status = error.get_http_status_code()
        return bool(status >= 500 or status == 429)
    return isinstance(
        error,
        requests.RequestException
        | sqlite3.OperationalError
        | sqlalchemy.exc.OperationalError
        | Timeout
        | ConnectionError
        | TimeoutError,
    )


def one_line(error: Exception | None) -> str:
    """What an error says, without the rest of its page; its kind when it says nothing."""
    if error is None:
        return ""
    cause = getattr(error, "orig", None) or error  # SQLAlchemy adds the statement and a link
    text = " ".join(str(cause).split()) or type(cause).__name__
    return text if len(text) <= 200 else f"{text[:200]} ..."
