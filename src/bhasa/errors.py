"""Errors that a person can act on: one message, and the exit code that goes with it.

A message says what was wrong, where (file, dotted key, line), what is allowed and how to mend it. The
library knows no pipeline: what to run again is added by `failures.py`, which prints the message without a
traceback. Anything else that escapes is a bug in bhasa.
"""

import signal
from pathlib import Path


class BhasaError(Exception):
    """The run failed although the input was valid."""

    exit_code = 1


class UserError(BhasaError):
    """The input was wrong: a file, a key, an option."""

    exit_code = 2


class FileError(UserError):
    """A file or folder that a program writes is missing, damaged, or does not belong to the others."""

    def __init__(self, path: Path, problem: str) -> None:
        super().__init__(f"{path}: {problem}")
        self.path = path


class Stopped(BhasaError):
    """A signal stopped the run, after its state was saved."""

    def __init__(self, signum: int, saved: str) -> None:
        super().__init__(f"stopped by {signal.Signals(signum).name}; {saved}")
        self.exit_code = 128 + signum
