"""What besides its input decides what ingest makes of it: its code, Python and the libraries."""

from __future__ import annotations

import hashlib
import platform
import re
from functools import cache
from importlib import metadata
from pathlib import Path

from bhasa import dataset, documents


@cache
def code_version() -> str:
    """A hash of the code in `documents`, of Python's version and of those of all libraries of bhasa."""
    digest = hashlib.sha256(platform.python_version().encode())
    for path in sorted((*Path(documents.__path__[0]).rglob("*.py"), Path(dataset.__file__))):
        digest.update(path.name.encode() + path.read_bytes())
    for requirement in metadata.requires("bhasa") or ():
        name = re.split(r"[^A-Za-z0-9._-]", requirement)[0]
        digest.update(f"{name} {_installed(name)}\n".encode())
    return digest.hexdigest()


def _installed(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:  # of an extra
        return ""
