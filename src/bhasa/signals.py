"""Stopping on request: a signal asks, the loop saves at the end of the step, and then leaves."""

import ctypes
import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

_PR_SET_PDEATHSIG, _PR_GET_PDEATHSIG = 1, 2  # linux/prctl.h


def stop_with_parent() -> None:
    """Have this process get SIGTERM when its parent dies, so that it does not work on unseen. Linux only."""
    parent = os.getppid()
    _set_death_signal(signal.SIGTERM)
    if os.getppid() != parent:  # it died before that
        os.kill(os.getpid(), signal.SIGTERM)


@contextmanager
def stop_requests() -> Iterator[Callable[[], int | None]]:
    """Yield a function that returns the first stop signal received, or None.

    A second signal has its usual effect at once. A signal that was ignored, as SIGHUP under `nohup`, stays
    ignored. After `stop_with_parent`, the death of the parent counts as SIGTERM.
    """
    received: list[int] = []
    earlier = {signum: signal.getsignal(signum) for signum in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    caught = {signum: old for signum, old in earlier.items() if old not in (signal.SIG_IGN, None)}

    def restore() -> None:
        for signum, handler in caught.items():
            signal.signal(signum, handler)

    def request(signum: int, frame: FrameType | None) -> None:
        received.append(signum)
        restore()

    with _on_parent_death(lambda: received.append(signal.SIGTERM)):
        for signum in caught:
            signal.signal(signum, request)
        try:
            yield lambda: received[0] if received else None
        finally:
            restore()


@contextmanager
def _on_parent_death(react: Callable[[], None]) -> Iterator[None]:
    """Call `react` when the parent dies, where `stop_with_parent` was called, instead of sending SIGTERM.

    The signal comes each time that the thread of the parent dies to which this process belongs then: several
    times if a parent of several threads dies, and also when one thread ends and the parent lives. As SIGTERM,
    the second would look like a person's second request.
    """
    usual = _death_signal()
    if not usual:
        yield
        return
    parent = os.getppid()

    def died(signum: int, frame: FrameType | None) -> None:
        if os.getppid() != parent:
            react()

    earlier = signal.signal(signal.SIGUSR2, died)
    _set_death_signal(signal.SIGUSR2)
    try:
        yield
    finally:
        _set_death_signal(usual)
        signal.signal(signal.SIGUSR2, earlier)
    if os.getppid() != parent:  # too late for anyone to have asked
        os.kill(os.getpid(), usual)


def _set_death_signal(signum: int) -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signum)


def _death_signal() -> int:
    """The signal that this process gets when its parent dies, or 0."""
    found = ctypes.c_int()
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_GET_PDEATHSIG, ctypes.byref(found))
    return found.value
