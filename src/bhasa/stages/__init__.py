"""The stages of the pipeline, one module each, and how every one of them starts.

Nothing heavy is imported here or at the top of a stage, so that `bhasa --help` answers at once.
"""

from __future__ import annotations

import os
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bhasa.tracking import Tracker

STAGES = ("ingest", "tokenize", "pretrain", "finetune", "evaluate", "export", "speed")


def check_params(params: Path) -> None:
    """Refuse a `params.yaml` with an unknown, missing or ill-typed key above the stages' own sections."""
    from bhasa.experiment import Experiment

    Experiment.load(params)


def read_seed(params: Path) -> int:
    """The seed in `params.yaml`."""
    from bhasa.experiment import Experiment

    return Experiment.load(params).seed


def read_init_from(params: Path) -> Path | None:
    """The folder in `params.yaml` whose model and tokenizer are taken, if there is one."""
    from bhasa.experiment import Experiment

    folder = Experiment.load(params).pretrain.init_from
    return None if folder is None else Path(folder)


def read_data_executor(hardware: Path) -> tuple[str, int]:
    """What a hardware profile reads the corpus with: the kind of executor, and how many workers."""
    from bhasa.hardware import HardwareProfile

    profile = HardwareProfile.load(hardware)
    return profile.data_executor, profile.data_workers or usable_cores()


def usable_cores() -> int:
    """Of this machine, as many as this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def run_folders(stage: str) -> Path:
    """Where a stage has the state of unfinished runs: in the main workspace, also for a queued experiment."""
    return Path(os.environ.get("DVC_ROOT", ".")) / ".bhasa" / "ckpt" / stage


def say_if_sources_differ(here: Path) -> None:
    """One line when the installed package is not the one in this tree, as in a queued experiment's copy."""
    import bhasa

    installed = Path(bhasa.__file__).parent
    if here.is_dir() and here.resolve() != installed and _sources(here) != _sources(installed):
        print(f"note: running the package in {installed}, which differs from {here} here", file=sys.stderr)


def _sources(folder: Path) -> dict[Path, bytes]:
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*.py")}


@contextmanager
def tracked(stage: str, params: Path) -> Iterator[Tracker]:
    """Check `params.yaml` as a whole, then track `stage` until the block ends."""
    from bhasa.tracking import open_run

    check_params(params)
    say_if_sources_differ(Path("src/bhasa"))
    with open_run(stage, params=params) as tracker:
        yield tracker
