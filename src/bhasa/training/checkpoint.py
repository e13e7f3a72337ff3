"""Checkpoints: everything a run needs to go on as if it had not been stopped, to the bit.

A checkpoint is a folder of two files of tensors, a manifest and `SHA256SUMS`, which holds the hash of each as
`sha256sum --check` reads it. The manifest also says what the run's journal was then. The folder appears by
one rename. The newest whole one wins, by the step in its manifest.
"""

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from bhasa import journal
from bhasa.errors import UserError
from bhasa.journal import Journal, Mark
from bhasa.training.step import Stepper

KEEP = 2
FORMAT = 3
BYTES_PER_PARAMETER = 3 * 4  # the weight and AdamW's two moments, float32; Muon keeps one
_FILES = _WEIGHTS, _MOMENTS, _MANIFEST = "model.safetensors", "optimizer.safetensors", "manifest.json"
_SUMS = "SHA256SUMS"


@dataclass(frozen=True)
class Snapshot:
    """The state after `step` optimiser steps, in copies: training may go on while it is written."""

    step: int
    weights: dict[str, Tensor]
    moments: dict[str, Tensor]
    manifest: dict[str, Any]

    @classmethod
    def of(cls, stepper: Stepper, step: int, record: Journal, circumstance: Mapping[str, Any]) -> "Snapshot":
        """Called by all processes of a strategy, since each may hold a part; what `record` has is synced."""
        record.sync()
        trained = {name: p for name, p in stepper.model.named_parameters() if p.requires_grad}
        return cls(
            step,
            _copied(stepper.strategy.gather(trained)),
            _copied(stepper.strategy.gather(stepper.optimizer.state())),
            {
                "format": FORMAT,
                "step": step,
                "scaler": stepper.scaler.state_dict(),
                "journal": record.mark()._asdict(),
                "circumstance": dict(circumstance),
            },
        )


@dataclass(frozen=True)
class Checkpoint:
    """A whole one on disk."""

    path: Path
    manifest: Mapping[str, Any]
    passed_over: Mapping[str, str]
    """The newer ones, by name: why they cannot be used."""

    @property
    def step(self) -> int:
        return int(self.manifest["step"])

    @property
    def journal_size(self) -> int:
        """Bytes of the journal that are of this checkpoint's steps."""
        return int(self.manifest["journal"]["size"])

    def load(self, stepper: Stepper) -> None:
        """Put the state into `stepper`."""
        weights = load_file(self.path / _WEIGHTS)
        with torch.no_grad():
            for name, parameter in stepper.model.named_parameters():
                if parameter.requires_grad:
                    parameter.copy_(weights[name])
        stepper.optimizer.load(load_file(self.path / _MOMENTS))
        if self.manifest["scaler"]:
            stepper.scaler.load_state_dict(dict(self.manifest["scaler"]))


def require_space(folder: Path, model: nn.Module) -> None:
    """Refuse to start a run whose checkpoints, those already there aside, do not fit on the disk.

    While one is written, the `KEEP` before it are still there. At the end it is only those, so there is room
    for the trained weights in the folder that the run was for.
    """
    trained = sum(p.numel() for p in model.parameters() if p.requires_grad)
    there = sum(path.stat().st_size for path in folder.glob("step-*/*"))
    needed = (KEEP + 1) * BYTES_PER_PARAMETER * trained - there
    journal.require_space(folder, needed, f"keeping {KEEP + 1} checkpoints")


def write(snapshot: Snapshot, folder: Path) -> None:
    """Write a checkpoint, then drop all but the newest `KEEP`."""
    with journal.publish(folder / _name(snapshot.step)) as draft:
        draft.mkdir()
        save_file(snapshot.weights, draft / _WEIGHTS)
        save_file(snapshot.moments, draft / _MOMENTS)
        journal.write_json(draft / _MANIFEST, snapshot.manifest)
        journal.write_text(draft / _SUMS, "".join(_sums(draft).values()))
    for old in sorted(folder.glob("step-*"))[:-KEEP]:
        shutil.rmtree(old)


def newest(folder: Path, record: Journal) -> Checkpoint | None:
    """The newest whole checkpoint, of which `record` still has the steps; None where none was written.

    Raises `UserError` when there are some and none is whole.
    """
    passed_over: dict[str, str] = {}
    for path in sorted(folder.glob("step-*"), reverse=True):
        try:
            return Checkpoint(path, _verified(path, record), passed_over)
        except _DamagedError as damage:
            passed_over[path.name] = str(damage)
    if passed_over:
        found = "; ".join(f"{name}: {damage}" for name, damage in passed_over.items())
        raise UserError(
            f"{folder}: no checkpoint in it is whole ({found}); delete this folder to start the run anew"
        )
    return None


class _DamagedError(Exception):
    """Why a checkpoint cannot be used."""


def _verified(path: Path, record: Journal) -> dict[str, Any]:
    """The manifest of a checkpoint whose every byte is as it was written."""
    try:
        stated = (path / _SUMS).read_bytes()
        sums = _sums(path)
    except OSError as error:
        raise _DamagedError(f"{Path(error.filename).name}: {error.strerror}") from None
    if stated != "".join(sums.values()).encode():
        changed = [name for name, line in sums.items() if line.encode() not in stated]
        raise _DamagedError(f"{', '.join(changed) or 'more'} is not as {_SUMS} says")
    manifest: dict[str, Any] = json.loads((path / _MANIFEST).read_bytes())
    if path.name != _name(manifest["step"]):
        raise _DamagedError(f"it is of step {manifest['step']}")
    if not record.begins_with(Mark(**manifest["journal"])):
        raise _DamagedError(f"{record.path.name} lacks its steps, or says other things of them")
    return manifest


def _sums(folder: Path) -> dict[str, str]:
    """By file: its line of `SHA256SUMS`."""
    return {name: f"{journal.sha256_file(folder / name)}  {name}\n" for name in _FILES}


def _name(step: int) -> str:
    return f"step-{step:08d}"


def _copied(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name: tensor.detach().to("cpu", copy=True) for name, tensor in tensors.items()}
