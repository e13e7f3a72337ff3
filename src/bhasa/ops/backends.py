"""Choosing among the implementations of an operation, once, when a model is built."""

from collections.abc import Iterable

from bhasa.errors import UserError


def choose(backend: str, available: Iterable[str], *, fastest: str) -> str:
    """The implementation that `backend` names; "auto" is the fastest. What is not there is an error."""
    name = fastest if backend == "auto" else backend
    if name not in available:
        raise UserError(f"backend: found '{backend}'; allowed: auto, {', '.join(available)}")
    return name
