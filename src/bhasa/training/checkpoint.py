"""Checkpoints: everything a run needs to go on as if it had not been stopped, to the bit.

A run's folder is named by a fingerprint of what decides its result, lies outside what DVC manages, and is
locked while a process trains in it. Each checkpoint is a folder of safetensors with a manifest that holds
the SHA-256 of every file; it appears by one rename. The newest whole one wins, by the step in its manifest.
"""

import hashlib
import json
import os
import shutil
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import torch
from filelock import FileLock, Timeout
from safetensors.torch import load_file, save_file
from torch import nn
from torch.amp import GradScaler

from bhasa import journal
from bhasa.errors import BhasaError, UserError
from bhasa.training.optimizer import Optimizer

KEEP = 2
FORMAT = 2
ABANDONED_DAYS = 30  # longer than the holidays after which somebody still means to go on
BYTES_PER_PARAMETER = 3 * 4  # the weight and AdamW's two moments, float32; Muon keeps one
_FILES = _WEIGHTS, _MOMENTS = "model.safetensors", "optimizer.safetensors"


def fingerprint(facts: Mapping[str, Any]) -> str:
    """16 hex digits that change when anything that decides the result changes."""
    text = json.dumps({"format": FORMAT, **facts}, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


@contextmanager
def run_folder(stage: str, run: str) -> Iterator[Path]:
    """The locked folder of one run of one stage, below the main workspace, also in a queued experiment.

    It is removed when the block succeeds: what it was for is then done. Runs that were abandoned beside it,
    because something else was chosen than what they began with, are removed at the start.
    """
    folder = Path(os.environ.get("DVC_ROOT", ".")) / ".bhasa" / "ckpt" / stage / run
    folder.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(_lock_file(folder))
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise BhasaError(
            f"{folder}: another process is training this very run; wait for it or stop it"
        ) from None
    try:
        folder.mkdir(exist_ok=True)
        _remove_abandoned(folder.parent)
        yield folder
        _remove(folder)
    finally:
        lock.release()


def _remove_abandoned(runs: Path) -> None:
    """Remove the runs that nobody trains and nobody has for `ABANDONED_DAYS`, and say so in one line."""
    removed = []
    for lock_file in sorted(runs.glob("*.lock")):
        folder = lock_file.with_suffix("")
        with suppress(Timeout, FileNotFoundError):  # somebody trains it, or has just finished it
            touched = (folder if folder.exists() else lock_file).stat().st_mtime
            if time.time() - touched > ABANDONED_DAYS * 24 * 3600:
                with FileLock(lock_file, timeout=0):
                    _remove(folder)
                removed.append(folder.name)
    if removed:
        found = f"unfinished runs not touched for {ABANDONED_DAYS} days: {', '.join(removed)}"
        print(f"removed from {runs} {found}", file=sys.stderr, flush=True)


def _remove(folder: Path) -> None:
    """Remove a run and its lock, which the caller holds: who waits for it sees that the file is gone."""
    if folder.exists():
        shutil.rmtree(folder)
    _lock_file(folder).unlink()


def _lock_file(folder: Path) -> Path:
    return folder.with_name(f"{folder.name}.lock")


def require_space(folder: Path, model: nn.Module) -> None:
    """Refuse to start a run whose checkpoints, those already there aside, do not fit on the disk.

    While one is written, the `KEEP` before it are still there. At the end it is only those, so there is room
    for the trained weights in the folder that the run was for.
    """
    trained = sum(p.numel() for p in model.parameters() if p.requires_grad)
    there = sum(path.stat().st_size for path in folder.glob("step-*/*"))
    needed = (KEEP + 1) * BYTES_PER_PARAMETER * trained - there
    journal.require_space(folder, needed, f"keeping {KEEP + 1} checkpoints")


def save(folder: Path, step: int, model: nn.Module, optimizer: Optimizer, scaler: GradScaler) -> None:
    """Write the state after `step` optimiser steps, then drop all but the newest `KEEP`."""
    trained = {name: p.detach().cpu() for name, p in model.named_parameters() if p.requires_grad}
    moments = {name: value.cpu() for name, value in optimizer.state().items()}
    with journal.publish(folder / _name(step)) as draft:
        draft.mkdir()
        save_file(trained, draft / _WEIGHTS)
        save_file(moments, draft / _MOMENTS)
        hashes = {name: journal.sha256_file(draft / name) for name in _FILES}
        journal.write_json(
            draft / "manifest.json", {"step": step, "scaler": scaler.state_dict(), "sha256": hashes}
        )
    for old in sorted(folder.glob("step-*"))[:-KEEP]:
        shutil.rmtree(old)


def restore(folder: Path, model: nn.Module, optimizer: Optimizer, scaler: GradScaler) -> int:
    """Load the newest whole checkpoint; returns its step, or 0 when there is none."""
    found = sorted(folder.glob("step-*"), reverse=True)
    for path in found:
        manifest = _verified(path)
        if manifest:
            _load(path, manifest, model, optimizer, scaler)
            return int(manifest["step"])
    if found:
        raise UserError(f"{folder}: no checkpoint in it is whole; delete this folder to start the run anew")
    return 0


def _name(step: int) -> str:
    return f"step-{step:08d}"


def _verified(path: Path) -> dict[str, Any] | None:
    try:
        manifest = json.loads((path / "manifest.json").read_text(encoding="utf-8"))
        whole = path.name == _name(manifest["step"]) and manifest["sha256"].keys() == {*_FILES}
        whole = whole and all(journal.sha256_file(path / name) == manifest["sha256"][name] for name in _FILES)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):  # no manifest, or no such manifest
        return None
    return manifest if whole else None


def _load(
    path: Path,
    manifest: Mapping[str, Any],
    model: nn.Module,
    optimizer: Optimizer,
    scaler: GradScaler,
) -> None:
    weights = load_file(path / _WEIGHTS)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.requires_grad:
                parameter.copy_(weights[name])
    optimizer.load(load_file(path / _MOMENTS))
    if manifest["scaler"]:
        scaler.load_state_dict(dict(manifest["scaler"]))
