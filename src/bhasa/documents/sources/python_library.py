"""The default corpus: the standard library's sources and the language reference of the running interpreter.

Every Python has both, so the project ships no foreign text and needs no network. Left out are tests,
generated tables, what is installed beside the library and what differs from machine to machine. The order
is that of a hash of name and content: a budget takes a fixed, mixed selection, and a larger one only adds.
"""

from __future__ import annotations

import hashlib
import os
import sysconfig
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from pydoc_data.topics import topics

from bhasa.documents.records import BEYOND_MAX_BYTES, skipped
from bhasa.documents.source_configs import PythonLibraryConfig
from bhasa.documents.sources.files import FileSource, InputFile

TESTS = {"test", "tests", "idle_test"}
TABLES = {"encodings", "pydoc_data"}  # generated; `pydoc_data` holds the reference, read through `topics`
INSTALLED = {"site-packages", "dist-packages", "_bundled", "__pycache__"}
MACHINE_SPECIFIC_FOLDERS = ("config-", "lib-dynload")
MACHINE_SPECIFIC_FILES = ("_sysconfigdata", "sitecustomize", "usercustomize")


def open_library(config: PythonLibraryConfig, *, max_file_bytes: int) -> FileSource:
    contents = dict(_contents())
    files, left = [], config.max_bytes
    for name in sorted(contents, key=lambda name: _order(name, contents[name])):
        content, refusal = contents[name], None
        if len(content) > max_file_bytes:
            refusal = skipped("larger than max_file_bytes")
        elif (left := left - len(content)) < 0:
            refusal = skipped(BEYOND_MAX_BYTES)
        files.append(InputFile(f"{config.domain}/{name}", len(content), partial(bytes, content), refusal))
    return FileSource(sorted(files, key=lambda file: file.name))


def _order(name: str, content: bytes) -> bytes:
    return hashlib.sha256(name.encode() + b"\0" + content).digest()


def _contents() -> Iterator[tuple[str, bytes]]:
    root = Path(sysconfig.get_path("stdlib"))
    for folder, subfolders, names in os.walk(root):
        subfolders[:] = [name for name in subfolders if _wanted_folder(name)]
        for path in (Path(folder, name) for name in names if _wanted_file(name)):
            yield path.relative_to(root).as_posix(), path.read_bytes()
    for topic, text in topics.items():
        yield f"pydoc_data/topics/{topic}.txt", text.encode()


def _wanted_folder(name: str) -> bool:
    return name not in TESTS | TABLES | INSTALLED and not name.startswith(MACHINE_SPECIFIC_FOLDERS)


def _wanted_file(name: str) -> bool:
    return name.endswith(".py") and not name.startswith(MACHINE_SPECIFIC_FILES)
