"""The folder of one run, where it keeps its journal and its checkpoints until it has ended.

A run is known by what it computes: the folder `IDENTITY` is named by that, and locked while a process trains
in it (`bhasa.unfinished`). Where and how it is computed decides the last bits, so each such circumstance has
its own state below, `IDENTITY/CIRCUMSTANCE`: what was begun on one machine is not mixed with what another
goes on with.
"""

import hashlib
import json
import shutil
import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bhasa.errors import UserError
from bhasa.journal import Journal
from bhasa.training import checkpoint
from bhasa.training.checkpoint import Checkpoint, Snapshot
from bhasa.training.step import Stepper


def fingerprint(facts: Mapping[str, Any]) -> str:
    """16 hex digits that change when any of the facts does, or the format of what is stored under them."""
    text = json.dumps({"format": checkpoint.FORMAT, **facts}, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


@dataclass(frozen=True)
class RunFolder:
    """The state of one run in one circumstance."""

    name: str
    """What messages call the run."""
    path: Path
    circumstance: Mapping[str, Any]
    writes: bool = True
    """Whether this process is the one that writes and speaks."""

    @property
    def journal(self) -> Journal:
        return Journal(self.path / "journal.jsonl")

    def record(self, step: int, **values: float) -> None:
        """Add an event to the journal."""
        if self.writes:
            self.journal.append({"step": step, **values})

    def save(self, stepper: Stepper, step: int) -> None:
        """Make the state after `step` steps the newest checkpoint."""
        snapshot = Snapshot.of(stepper, step, self.journal, self.circumstance)
        if self.writes:
            checkpoint.write(snapshot, self.path)

    def newest(self) -> Checkpoint | None:
        """The checkpoint to go on from, or None; says why it is not the newest, or that a run starts anew."""
        found = checkpoint.newest(self.path, self.journal)
        if found is None:
            self._say_what_differs()
            return None
        for name, damage in found.passed_over.items():
            self._say(f"checkpoint {name} is damaged ({damage}), so training goes on from step {found.step}")
        if not found.passed_over:
            self._say(f"training goes on from step {found.step}")
        return found

    def resume(self, found: Checkpoint | None, stepper: Stepper) -> None:
        """Load `found`, forget what the journal says of later steps, and remove what was passed over."""
        if found:
            found.load(stepper)
        if self.writes:
            self.journal.truncate(found.journal_size if found else 0)
            for name in found.passed_over if found else ():
                shutil.rmtree(self.path / name)

    def _say_what_differs(self) -> None:
        """One sentence where the same run was begun in another circumstance."""
        others = [path for path in self.path.parent.iterdir() if path.is_dir() and path != self.path]
        for path in others:
            with suppress(UserError):  # nothing whole in it
                found = checkpoint.newest(path, Journal(path / "journal.jsonl"))
                if found:
                    changes = ", ".join(differences(found.manifest["circumstance"], self.circumstance))
                    self._say(
                        f"{changes}: that rounds otherwise, so training starts anew; what was begun before, "
                        f"now at step {found.step}, goes on when it is as before"
                    )

    def _say(self, sentence: str) -> None:
        if self.writes:
            print(f"{self.name}: {sentence}", file=sys.stderr, flush=True)


def differences(before: Mapping[str, Any], now: Mapping[str, Any], prefix: str = "") -> list[str]:
    """Each value that is not the same, with its dotted key and both values."""
    changes = []
    for key in sorted({*before, *now}):
        was, value = before.get(key), now.get(key)
        if isinstance(was, Mapping) and isinstance(value, Mapping):
            changes += differences(was, value, f"{prefix}{key}.")
        elif was != value:
            changes.append(f"{prefix}{key} was {was} and is {value}")
    return changes
