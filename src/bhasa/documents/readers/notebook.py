"""Jupyter notebooks (nbformat 3 and 4): the cells in order, as Markdown.

Markdown cells stay as they are. Code cells stand in a fence that names the language, and what they wrote as
text (streams, plain results, the last line of an error) in a fence after them. Other results, such as images
and HTML, are left out, and so is an output of more than `MAX_OUTPUT` characters; `meta` counts both.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from bhasa.documents.encodings import decode
from bhasa.documents.records import Text, quarantined

MAX_OUTPUT = 10_000
EMBEDDED = re.compile(r"data:[\w/+.;=-]{1,100},[A-Za-z0-9+/=%]{100,}")  # images in the text of a cell
CONTROL_SEQUENCE = re.compile(r"\x1b\[[0-9;]{0,40}[A-Za-z]")  # colours of a terminal
FENCES = re.compile("^`{3,}", re.MULTILINE)


@dataclass
class _Outputs:
    left_out: int = 0


def read(content: bytes, name: str) -> Iterator[Text]:
    notebook = _parse(content)
    cells = _cells(notebook)
    language = _language(notebook)
    outputs = _Outputs()
    blocks = [block for cell in cells for block in _cell(cell, language, outputs)]
    text = "\n\n".join(filter(None, blocks))
    if not text:
        raise quarantined("notebook without text")
    meta: dict[str, Any] = {"cells": len(cells)}
    if outputs.left_out:
        meta["outputs_left_out"] = outputs.left_out
    yield Text(text, meta, language=language)


def _parse(content: bytes) -> dict[str, Any]:
    try:
        notebook = json.loads(decode(content).text)
    except (ValueError, RecursionError):
        raise quarantined("notebook that is not JSON") from None
    if not isinstance(notebook, dict):
        raise quarantined("JSON that is no notebook")
    return notebook


def _cells(notebook: dict[str, Any]) -> list[dict[str, Any]]:
    sheets = notebook.get("worksheets")  # until format 3
    holders = [notebook, *(sheets if isinstance(sheets, list) else [])]
    lists = [holder.get("cells") for holder in holders if isinstance(holder, dict)]
    if not any(isinstance(cells, list) for cells in lists):
        raise quarantined("JSON that is no notebook")
    return [cell for cells in lists if isinstance(cells, list) for cell in cells if isinstance(cell, dict)]


def _language(notebook: dict[str, Any]) -> str:
    """Of the kernel; Python, which notebooks were made for, where nothing is said."""
    metadata = notebook.get("metadata")
    for section, key in (("language_info", "name"), ("kernelspec", "language")):
        described = metadata.get(section) if isinstance(metadata, dict) else None
        name = described.get(key) if isinstance(described, dict) else None
        if isinstance(name, str) and name.strip():
            return name.strip().lower()[:40]
    return "python"


def _cell(cell: dict[str, Any], language: str, outputs: _Outputs) -> Iterator[str]:
    source = EMBEDDED.sub("", _joined(cell.get("source", cell.get("input")))).strip("\n")
    kind = cell.get("cell_type")
    if kind == "heading":  # until format 3
        level = cell.get("level")
        yield f"{'#' * (level if isinstance(level, int) and 0 < level < 7 else 1)} {source}"
    elif kind != "code":
        yield source
    else:
        yield _fenced(source, language)
        found = cell.get("outputs")
        for output in found if isinstance(found, list) else []:
            yield _fenced(_output(output, outputs), "")


def _output(output: Any, outputs: _Outputs) -> str:
    if not isinstance(output, dict):
        return ""
    kind = output.get("output_type")
    data = output.get("data")
    if kind == "stream":
        text = _joined(output.get("text"))
    elif kind in ("error", "pyerr"):
        text = f"{_joined(output.get('ename'))}: {_joined(output.get('evalue'))}"
    else:
        text = _joined(data.get("text/plain") if isinstance(data, dict) else output.get("text"))
    if not text or len(text) > MAX_OUTPUT:
        outputs.left_out += 1
        return ""
    return CONTROL_SEQUENCE.sub("", text).strip("\n")


def _fenced(text: str, language: str) -> str:
    if not text.strip():
        return ""
    longest = max((len(fence) for fence in FENCES.findall(text)), default=2)
    fence = "`" * (longest + 1)
    return f"{fence}{language}\n{text}\n{fence}"


def _joined(text: Any) -> str:
    """Text is a string or a list of its lines."""
    if isinstance(text, list):
        return "".join(line for line in text if isinstance(line, str))
    return text if isinstance(text, str) else ""
