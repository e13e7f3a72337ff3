"""A folder that holds a data set: in the hub's layout, or as `save_to_disk` wrote it.

It comes from others, so nothing in it may lead elsewhere: neither its README, which says which files are
which split, nor a link.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from bhasa.documents.source_configs import HuggingFaceConfig
from bhasa.errors import UserError

STATE, SPLITS = "state.json", "dataset_dict.json"  # of what `save_to_disk` wrote: one split, or several
STANDALONE_CARD = ".huggingface.yaml"
PLACES = ("data_files", "data_dir")


def load_saved(config: HuggingFaceConfig) -> Mapping[str, Any]:
    """The splits that are wanted and there, if `save_to_disk` wrote the folder."""
    folder = Path(config.path or "")
    if config.path and not folder.is_dir():
        raise UserError(f"{config.path}: no such folder; a single file is read by `kind: file`")
    if config.path and (folder / STATE).is_file():
        return {_json(folder / STATE).get("_split") or "train": _load_split(folder)}
    if config.path and (folder / SPLITS).is_file():
        names = [name for name in _json(folder / SPLITS)["splits"] if PurePosixPath(name).name == name]
        return {name: _load_split(folder / name) for name in names}
    return {}


def _load_split(folder: Path) -> Any:
    from datasets import load_from_disk

    check_inside(folder, (folder / file["filename"] for file in _json(folder / STATE)["_data_files"]))
    return load_from_disk(str(folder))


def check(folder: Path) -> None:
    """Refuse a README that names files outside the folder, before anything that it says is done."""
    from huggingface_hub import DatasetCard

    if (folder / STANDALONE_CARD).exists():
        raise UserError(f"{folder}: {STANDALONE_CARD} is not read; put its `configs` into README.md")
    readme = folder / "README.md"
    if not readme.is_file():
        return
    check_inside(folder, [readme])
    for place in _places(DatasetCard.load(readme).data.to_dict()):
        if "://" in place or "::" in place or place.startswith("/") or ".." in PurePosixPath(place).parts:
            raise UserError(f"{readme}: names '{place}', which is not in the folder; copy it there")


def check_inside(folder: Path, files: Iterable[Path | str]) -> None:
    for file in files:
        if not Path(file).resolve().is_relative_to(folder.resolve()):
            raise UserError(f"{folder}: {Path(file).name} is not in the folder but elsewhere; copy it there")


def _places(value: object, wanted: bool = False) -> Iterator[str]:
    """The strings below a key that names files."""
    if isinstance(value, str) and wanted:
        yield value
    elif isinstance(value, Mapping):
        for key, inside in value.items():
            yield from _places(inside, wanted or key in PLACES)
    elif isinstance(value, list):
        for inside in value:
            yield from _places(inside, wanted)


def _json(path: Path) -> dict[str, Any]:
    value = json.loads(path.read_bytes())
    return value if isinstance(value, dict) else {}
