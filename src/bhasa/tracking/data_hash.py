"""The hash by which DVC knows a file or folder, so that a run leads to its data."""

import hashlib
import json
from pathlib import Path

from bhasa.errors import UserError
from bhasa.params import read_mapping


def dvc_hash(path: Path) -> str:
    """MD5 as DVC computes it: from `dvc.lock` here, or by reading all where that may be out of date."""
    return _locked(path, Path("dvc.lock")) or _computed(path)


def _locked(path: Path, lock: Path) -> str | None:
    """What `lock` says of a stage's output that was last written before it and still has the size it had."""
    files = [path] if path.is_file() else [p for p in path.rglob("*") if p.is_file()]
    try:
        stages, written = read_mapping(lock)["stages"].values(), lock.stat().st_mtime_ns
        outputs = {Path(out["path"]).absolute(): out for stage in stages for out in stage.get("outs", ())}
        entry = outputs[path.absolute()]
        known = entry["md5"], entry["size"]
    except (UserError, KeyError, AttributeError, TypeError):  # no lock, not in it, or not one of DVC's
        return None
    statuses = [file.stat() for file in files]
    size, changed = sum(s.st_size for s in statuses), max((s.st_mtime_ns for s in statuses), default=written)
    return str(known[0]) if size == known[1] and changed <= written else None


def _computed(path: Path) -> str:
    if path.is_file():
        with path.open("rb") as stream:
            return hashlib.file_digest(stream, "md5").hexdigest()
    files = sorted(p for p in path.rglob("*") if p.is_file())
    listing = [{"md5": _computed(p), "relpath": p.relative_to(path).as_posix()} for p in files]
    listing.sort(key=lambda entry: entry["relpath"])
    return hashlib.md5(json.dumps(listing).encode()).hexdigest() + ".dir"
