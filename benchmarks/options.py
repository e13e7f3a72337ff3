"""The frame of every table: options, threads, the machine, and what is done with the figures."""

import argparse
import functools
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from bhasa import journal
from bhasa.hardware import HardwareProfile
from bhasa.measure import machine, table
from bhasa.measure.timing import ROUNDS, Job, Timing, interleaved

RESULTS = Path(__file__).parent / "results"
PEERS = ("mambapy", "transformers", "numpy")


@dataclass(frozen=True)
class Options:
    """What the command line says."""

    quick: bool
    """Tiny shapes and two rounds, to see that everything runs."""
    rounds: int
    budget: float
    """Seconds that one program may take in one case."""

    def timed(self, jobs: dict[str, Job]) -> dict[str, Timing]:
        """Time the programs of a case, and say on standard error what came out: a table takes minutes."""
        timings = interleaved(jobs, rounds=self.rounds, budget=self.budget)
        for name, timing in timings.items():
            print(f"{name}: {timing.median:.4g} s", file=sys.stderr, flush=True)
        return timings


Measure = Callable[[Options], tuple[dict[str, float], Sequence[table.Row]]]


def main(name: str, title: str, measure: Measure, arguments: Sequence[str] | None = None) -> dict[str, Any]:
    """Run one table from its command line; returns what was written."""
    parser = parser_of(name, title)
    given = parser.parse_args(arguments)
    prepare(given.threads)
    where = machine.describe(PEERS)
    limits, rows = measure(Options(given.quick, 2 if given.quick else given.rounds, given.budget))
    return finish(given, table.result(name, where, limits, rows), title)


def parser_of(name: str, title: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=f"python -m benchmarks.{name}", description=title)
    parser.add_argument("--quick", action="store_true", help="tiny shapes, to see that everything runs")
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="interleaved rounds (default %(default)s)")
    parser.add_argument(
        "--budget",
        type=float,
        default=120.0,
        help="seconds a program may take in a case (default %(default)s)",
    )
    parser.add_argument(
        "--threads", type=int, default=None, help="threads of every program (default: torch's)"
    )
    parser.add_argument(
        "--out",
        type=Path,
        default=None,
        help="folder of the JSON file (default benchmarks/results; quick: none)",
    )
    return parser


@functools.cache
def prepare(threads: int | None = None) -> None:
    """The same settings for every program: threads, and an allocator that keeps freed memory."""
    HardwareProfile(device="cpu", precision="fp32", micro_batch=1, threads=threads).prepare()
    torch.manual_seed(0)


def finish(given: argparse.Namespace, figures: dict[str, Any], title: str) -> dict[str, Any]:
    """Show the table; write it unless it is a trial."""
    table.show(title, figures)
    folder = given.out or (None if given.quick else RESULTS)
    if folder is not None:
        journal.write_json(folder / f"{figures['name']}.json", {"title": title, **figures})
    return figures
