"""A reader per file format. `READERS` maps a file name's suffix to how the file is read.

A new format is one file here with a function from bytes to records, one line in `READERS` and one fixture in
tests/documents/readers/. A reader yields `Refused` for a part that it cannot read, and raises it, and nothing
else, where the rest of the file is lost.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from bhasa.documents.readers import conversations, pdf, plain
from bhasa.documents.records import Record, Refused


@dataclass(frozen=True)
class Format:
    media_type: str
    read: Callable[[bytes], Iterator[Record | Refused]]
    language: str = "und"
    """Programming language, or `und` where nothing tells which language the text is in."""


READERS: dict[str, Format] = {
    "": Format("text/plain", plain.read),
    ".txt": Format("text/plain", plain.read),
    ".md": Format("text/markdown", plain.read),
    ".markdown": Format("text/markdown", plain.read),
    ".rst": Format("text/x-rst", plain.read),
    ".pdf": Format("application/pdf", pdf.read),
    ".jsonl": Format("application/jsonl", conversations.read),
}

SOURCE_CODE = {
    "ada": (".adb", ".ads"),
    "assembly": (".asm", ".s"),
    "c": (".c", ".h"),
    "c++": (".cc", ".cpp", ".cxx", ".hh", ".hpp", ".hxx"),
    "c#": (".cs",),
    "clojure": (".clj", ".cljs"),
    "cuda": (".cu", ".cuh"),
    "dart": (".dart",),
    "elixir": (".ex", ".exs"),
    "erlang": (".erl", ".hrl"),
    "f#": (".fs", ".fsx"),
    "fortran": (".f", ".f90", ".f95"),
    "go": (".go",),
    "haskell": (".hs",),
    "java": (".java",),
    "javascript": (".js", ".jsx", ".mjs"),
    "julia": (".jl",),
    "kotlin": (".kt", ".kts"),
    "lisp": (".el", ".lisp", ".scm"),
    "lua": (".lua",),
    "nim": (".nim",),
    "ocaml": (".ml", ".mli"),
    "pascal": (".pas",),
    "perl": (".pl", ".pm"),
    "php": (".php",),
    "python": (".py", ".pyi", ".pyx"),
    "r": (".r",),
    "ruby": (".rb",),
    "rust": (".rs",),
    "scala": (".scala",),
    "shell": (".bash", ".sh", ".zsh"),
    "sql": (".sql",),
    "swift": (".swift",),
    "toml": (".toml",),
    "typescript": (".ts", ".tsx"),
    "yaml": (".yaml", ".yml"),
    "zig": (".zig",),
}
READERS |= {
    suffix: Format(f"text/x-{language}", plain.read, language)
    for language, suffixes in SOURCE_CODE.items()
    for suffix in suffixes
}
