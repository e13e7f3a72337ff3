"""Errors that a person can act on: one message, and the exit code that goes with it.

A message says what was wrong, where (file, dotted key, line), what is allowed and how to mend it.
`cli.py` prints it without a traceback; anything else that escapes is a bug in bhasa.
"""

import signal


class BhasaError(Exception):
    """The run failed although the input was sound."""

    exit_code = 1


class UserError(BhasaError):
    """The input was wrong: a file, a key, an option."""

    exit_code = 2


class Stopped(BhasaError):
    """A signal stopped the run, after its state was saved."""

    def __init__(self, signum: int, saved: str) -> None:
        super().__init__(f"stopped by {signal.Signals(signum).name}; {saved}")
        self.exit_code = 128 + signum
