"""The stages of the pipeline, one module each, and how every one of them starts.

Nothing heavy is imported here or at the top of a stage, so that `bhasa --help` answers at once.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from bhasa.tracking import Tracker

STAGES = ("ingest", "tokenize", "pretrain", "finetune", "evaluate", "export")


def check_params(params: Path) -> None:
    """Refuse a `params.yaml` with an unknown, missing or ill-typed key above the stages' own sections."""
    from bhasa.experiment import Experiment

    Experiment.load(params)


def read_seed(params: Path) -> int:
    """The seed in `params.yaml`."""
    from bhasa.experiment import Experiment

    return Experiment.load(params).seed


@contextmanager
def tracked(stage: str, params: Path) -> Iterator[Tracker]:
    """Check `params.yaml` as a whole, then track `stage` until the block ends."""
    from bhasa.tracking import open_run

    check_params(params)
    with open_run(stage, params=params) as tracker:
        yield tracker
