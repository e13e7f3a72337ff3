"""Being stopped kindly: a signal asks, the loop saves at the next step's end, and then leaves."""

import ctypes
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

_PR_SET_PDEATHSIG = 1


@contextmanager
def stop_requests() -> Iterator[Callable[[], int | None]]:
    """Yield a function that returns the first stop signal received, or None.

    A second signal has its usual effect at once. On Linux the death of the parent, such as a killed
    `dvc repro`, arrives as SIGTERM too, so no stage trains on unseen.
    """
    received: list[int] = []
    caught = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    earlier = {signum: signal.getsignal(signum) for signum in caught}

    def restore() -> None:
        for signum, handler in earlier.items():
            signal.signal(signum, handler)

    def request(signum: int, frame: FrameType | None) -> None:
        received.append(signum)
        restore()

    for signum in caught:
        signal.signal(signum, request)
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    try:
        yield lambda: received[0] if received else None
    finally:
        restore()
