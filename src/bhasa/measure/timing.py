"""Interleaved timing: every round runs each job once, so what disturbs the machine disturbs all alike."""

import math
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

Job = Callable[[], object]

ROUNDS = 7
SHORTEST = 0.05  # seconds of one measurement; a shorter job is repeated within it


@dataclass(frozen=True)
class Timing:
    """Seconds of one job: the median over the rounds and the quartiles."""

    median: float
    q1: float
    q3: float
    best: float
    rounds: int

    @classmethod
    def of(cls, seconds: list[float]) -> "Timing":
        once = len(seconds) == 1
        q1, median, q3 = seconds * 3 if once else statistics.quantiles(seconds, n=4, method="inclusive")
        return cls(median, q1, q3, min(seconds), len(seconds))


def interleaved(
    jobs: Mapping[str, Job], *, rounds: int = ROUNDS, budget: float = 60.0, shortest: float = SHORTEST
) -> dict[str, Timing]:
    """Time each job after a warm-up, A B A B; a job that has had `budget` seconds drops out of the rounds.

    A job whose warm-up alone takes half of the budget is not run again: the warm-up is its measurement.
    """
    taken: dict[str, list[float]] = {name: [] for name in jobs}
    counts = {}
    for name, job in jobs.items():
        first = _seconds(job, 1)
        counts[name] = max(1, math.ceil(shortest / _seconds(job, 1))) if first < 1 else 1
        if first > budget / 2:
            taken[name].append(first)
    within = {name: 0.0 if not taken[name] else math.inf for name in jobs}
    for _ in range(rounds):
        for name, job in jobs.items():
            if within[name] < budget:
                taken[name].append(_seconds(job, counts[name]))
                within[name] += taken[name][-1] * counts[name]
    return {name: Timing.of(seconds) for name, seconds in taken.items()}


def _seconds(job: Job, count: int) -> float:
    started = time.perf_counter()
    for _ in range(count):
        job()
    return (time.perf_counter() - started) / count
