"""The tensors of a model folder, whichever of four forms they come in, under our names.

One `model.safetensors`, or shards that an index lists; or the same as `pytorch_model.bin`, which is a pickle
and read with `weights_only`, so that it can bring tensors and nothing that runs.
"""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file
from torch import Tensor

from bhasa.errors import FileError, UserError
from bhasa.journal import sha256_file

WEIGHTS, PICKLED = "model.safetensors", "pytorch_model.bin"
INDEX = ".index.json"
"""What the name of a list of shards ends in."""

Shapes = Mapping[str, tuple[int, ...]]
"""Of each tensor by name."""

EMBEDDINGS, OFFICIAL_EMBEDDINGS = "backbone.embeddings.weight", "backbone.embedding.weight"


def shapes(folder: Path) -> dict[str, tuple[int, ...]]:
    """What `read` would return the shapes of, without reading the numbers; empty if there are no weights."""
    found: dict[str, tuple[int, ...]] = {}
    for path in _files(folder):
        if path.suffix == ".bin":
            found |= {name: tuple(tensor.shape) for name, tensor in _unpickled(path).items()}
            continue
        try:
            with safe_open(path, framework="pt") as file:
                found |= {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118
        except (SafetensorError, OSError) as error:
            raise _damaged(path, error) from None
    return {_our_name(name): shape for name, shape in found.items()}


def read(folder: Path) -> dict[str, Tensor]:
    """The tensors in the precision in which they are kept. Raises `UserError` naming the file."""
    paths = _files(folder)
    if not paths:
        raise FileError(folder / WEIGHTS, "no such file")
    found: dict[str, Tensor] = {}
    for path in paths:
        try:
            found |= _unpickled(path) if path.suffix == ".bin" else load_file(path)
        except (SafetensorError, OSError) as error:
            raise _damaged(path, error) from None
    if wrong := sorted(name for name, tensor in found.items() if not tensor.is_floating_point()):
        raise UserError(f"{paths[0]}: tensor {wrong[0]}: found {found[wrong[0]].dtype}; allowed: floats")
    return {_our_name(name): tensor for name, tensor in found.items()}


def weights_sha256(folder: Path) -> str:
    """The hash of the file of weights; of several, one of all their names and hashes."""
    paths = _files(folder)
    if len(paths) == 1:
        return sha256_file(paths[0])
    return hashlib.sha256("".join(f"{p.name}\0{sha256_file(p)}\n" for p in paths).encode()).hexdigest()


def official_names(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The names of state-spaces/mamba, which differ in one letter of one of them."""
    return {OFFICIAL_EMBEDDINGS if name == EMBEDDINGS else name: t for name, t in tensors.items()}


def _our_name(name: str) -> str:
    return EMBEDDINGS if name == OFFICIAL_EMBEDDINGS else name


def _files(folder: Path) -> list[Path]:
    """The files of weights; none if there are none. One file is preferred to shards, and no pickle to one."""
    for name in (WEIGHTS, PICKLED):
        if (folder / name).is_file():
            return [folder / name]
        if (folder / (name + INDEX)).is_file():
            return _shards(folder / (name + INDEX))
    return []


def _shards(index: Path) -> list[Path]:
    try:
        names = sorted(set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values()))
    except (ValueError, KeyError, TypeError, AttributeError):
        raise UserError(
            f"{index}: not a list of shards; expected {{'weight_map': {{tensor: file}}}}"
        ) from None
    suffix = Path(index.name.removesuffix(INDEX)).suffix
    for name in names:
        # A name with a folder in it could point anywhere.
        if not isinstance(name, str) or Path(name).name != name or "\\" in name or not name.endswith(suffix):
            raise UserError(f"{index}: found the shard {name!r}; allowed: names of {suffix} files beside it")
        if not (index.parent / name).is_file():
            raise FileError(index.parent / name, f"no such file, and {index.name} lists it")
    return [index.parent / name for name in names]


def _unpickled(path: Path) -> dict[str, Tensor]:
    try:
        found = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    except Exception as error:  # a damaged pickle can fail in any way; what would run code fails here too
        reason = str(error).partition("\n")[0]
        raise UserError(
            f"{path}: not a file of tensors alone, and only such are opened ({reason}); "
            f"get it anew from where it came, or as {WEIGHTS}"
        ) from None
    if not isinstance(found, dict) or not all(isinstance(t, Tensor) for t in found.values()):
        raise UserError(f"{path}: expected a mapping of names to tensors; get it as {WEIGHTS}")
    return {str(name): tensor.detach() for name, tensor in found.items()}


def _damaged(path: Path, error: Exception) -> FileError:
    return FileError(path, f"damaged or not safetensors ({error})")
