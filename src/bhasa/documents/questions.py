"""Question and answer pairs from Python documents, for fine-tuning: what a docstring or a signature answers.

Only what is public in a module with an importable name is asked about: functions, classes and their methods
with a docstring. Which phrasing a question has is decided by a hash of the object's name, so a pair never
depends on the other pairs.
"""

from __future__ import annotations

import ast
import hashlib
import inspect
import warnings
from collections.abc import Iterator
from pathlib import PurePosixPath

from bhasa.dataset import Document
from bhasa.documents.records import Conversation

Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef

PROPERTIES = {"property", "cached_property"}
ACCESSORS = {"setter", "deleter", "overload"}  # other faces of what is asked about already
MIN_ANSWER_CHARACTERS = 24
MAX_BYTES = (
    1 << 20
)  # of a document; a larger one is generated, and parsing takes 100 times its size of memory

FUNCTION_PHRASINGS = (
    "What does `{call}` do?",
    "What does the Python function `{name}` do?",
    "Explain `{name}`.",
    "What is `{call}` for?",
    "Describe the function `{name}` from the module `{module}`.",
)
CLASS_PHRASINGS = (
    "What is the Python class `{name}`?",
    "What is `{name}` for?",
    "Explain the class `{name}`.",
    "Describe the class `{name}` from the module `{module}`.",
)
PROPERTY_PHRASINGS = (
    "What is the property `{name}`?",
    "What does `{name}` hold?",
)
SIGNATURE_PHRASINGS = (
    "Write the signature of `{name}`.",
    "What arguments does `{name}` take?",
    "How is `{name}` called?",
)


def ask(document: Document, *, max_answer_characters: int) -> list[Conversation]:
    """The pairs that one document gives; none when it is not Python, very long or does not parse."""
    module = module_name(document.source)
    if document.language != "python" or module is None or document.bytes > MAX_BYTES:
        return []
    try:
        with warnings.catch_warnings(action="ignore"):  # of odd escapes in the document
            body = ast.parse(document.text).body
            pairs = [pair for name, node in _public(body, module) for pair in _pairs(name, module, node)]
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return []
    return [
        Conversation((("user", question), ("assistant", answer)))
        for question, answer in pairs
        if MIN_ANSWER_CHARACTERS <= len(answer) <= max_answer_characters
    ]


def module_name(source: str) -> str | None:
    """`python-library/json/decoder.py` is `json.decoder`; None for a private or impossible name."""
    parts = PurePosixPath(source).with_suffix("").parts[1:]
    parts = parts[:-1] if parts[-1:] == ("__init__",) else parts
    public = all(part.isidentifier() and not part.startswith("_") for part in parts)
    return ".".join(parts) if parts and public else None


def _public(body: list[ast.stmt], prefix: str) -> Iterator[tuple[str, Definition]]:
    for node in body:
        if isinstance(node, Definition) and not node.name.startswith("_"):
            name = f"{prefix}.{node.name}"
            yield name, node
            if isinstance(node, ast.ClassDef):
                yield from _public(node.body, name)


def _pairs(name: str, module: str, node: Definition) -> Iterator[tuple[str, str]]:
    summary = _summary(node)
    decorators = _decorators(node)
    if not summary or decorators & ACCESSORS:
        return
    names = {"name": name, "module": module}
    if decorators & PROPERTIES:
        yield _phrase(PROPERTY_PHRASINGS, names), summary
        return
    function = _constructor(node) if isinstance(node, ast.ClassDef) else node
    call = f"{name}({_arguments(function)})" if function else f"{name}()"
    phrasings = CLASS_PHRASINGS if isinstance(node, ast.ClassDef) else FUNCTION_PHRASINGS
    yield _phrase(phrasings, names | {"call": call}), summary
    if call != f"{name}()":
        yield _phrase(SIGNATURE_PHRASINGS, names), f"`{call}`"


def _decorators(node: Definition) -> set[str]:
    """The last part of each decorator's name: `setter` of `@size.setter`."""
    names = (item.func if isinstance(item, ast.Call) else item for item in node.decorator_list)
    return {ast.unparse(name).rpartition(".")[2] for name in names}


def _constructor(node: ast.ClassDef) -> ast.FunctionDef | None:
    return next((n for n in node.body if isinstance(n, ast.FunctionDef) and n.name == "__init__"), None)


def _summary(node: Definition) -> str:
    """The docstring's first paragraph on one line; empty when it is an example instead of prose."""
    paragraph = inspect.cleandoc(ast.get_docstring(node) or "").split("\n\n")[0]
    return "" if ">>>" in paragraph else " ".join(paragraph.split())


def _arguments(node: ast.FunctionDef | ast.AsyncFunctionDef) -> str:
    """The arguments as written, without the one that a method is bound to."""
    positional = node.args.posonlyargs or node.args.args
    if positional and positional[0].arg in ("self", "cls"):
        del positional[0]
    return ast.unparse(node.args)


def _phrase(phrasings: tuple[str, ...], names: dict[str, str]) -> str:
    digest = hashlib.sha256(names["name"].encode()).digest()
    return phrasings[digest[0] % len(phrasings)].format_map(names)
