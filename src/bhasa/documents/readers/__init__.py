"""A reader per file format. `READERS` maps a file name's suffix to how the file is read.

A new format is one file here, one line in `READERS` and one fixture in tests/documents/readers/. The module
has a function `read(content, name)`, from bytes, and the name that tells the format, to records. It yields
`Refused` for a part that it cannot read, and raises it, and nothing else, where the rest of the file is lost.
It opens no file and no connection, and imports all that it needs when it is imported: it runs in a process
that can do neither. Its limits count work (pages, bytes, depth), never time.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from importlib import import_module

from bhasa.documents.records import Record, Refused


@dataclass(frozen=True)
class Format:
    media_type: str
    module: str
    """Where `read` is; imported when a file of this format is met, and so where it is read alone."""
    language: str = "und"
    """Programming language, or `und` where nothing tells which language the text is in."""

    def read(self, content: bytes, name: str) -> Iterator[Record | Refused]:
        records: Iterator[Record | Refused] = import_module(self.module).read(content, name)
        return records


PLAIN = "bhasa.documents.readers.plain"

READERS: dict[str, Format] = {
    "": Format("text/plain", PLAIN),
    ".txt": Format("text/plain", PLAIN),
    ".md": Format("text/markdown", PLAIN),
    ".markdown": Format("text/markdown", PLAIN),
    ".rst": Format("text/x-rst", PLAIN),
    ".pdf": Format("application/pdf", "bhasa.documents.readers.pdf"),
    **dict.fromkeys((".jsonl", ".ndjson"), Format("application/jsonl", "bhasa.documents.readers.json_lines")),
    ".json": Format("application/json", "bhasa.documents.readers.json_file"),
    **dict.fromkeys(
        (".xml", ".dbk", ".tei", ".rss", ".atom"),
        Format("application/xml", "bhasa.documents.readers.xml_file"),
    ),
    ".csv": Format("text/csv", "bhasa.documents.readers.delimited"),
    ".tsv": Format("text/tab-separated-values", "bhasa.documents.readers.delimited"),
    **dict.fromkeys(
        (".xlsx", ".xlsm"), Format("application/vnd.ms-excel", "bhasa.documents.readers.spreadsheet")
    ),
    ".parquet": Format("application/vnd.apache.parquet", "bhasa.documents.readers.parquet_file"),
}
HYPERTEXT = "bhasa.documents.readers.hypertext"
READERS |= {
    **dict.fromkeys((".html", ".htm"), Format("text/html", HYPERTEXT)),
    ".xhtml": Format("application/xhtml+xml", HYPERTEXT),
    ".epub": Format("application/epub+zip", "bhasa.documents.readers.epub"),
}
ARCHIVES = "bhasa.documents.readers.archives"
READERS |= {
    ".zip": Format("application/zip", ARCHIVES),
    ".tar": Format("application/x-tar", ARCHIVES),
    **dict.fromkeys((".gz", ".tgz"), Format("application/gzip", ARCHIVES)),
    **dict.fromkeys((".bz2", ".tbz2"), Format("application/x-bzip2", ARCHIVES)),
    **dict.fromkeys((".xz", ".txz"), Format("application/x-xz", ARCHIVES)),
    **dict.fromkeys((".zst", ".tzst"), Format("application/zstd", ARCHIVES)),
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
    "ini": (".ini", ".cfg", ".cnf", ".conf", ".desktop", ".env", ".properties"),
    "java": (".java",),
    "javascript": (".js", ".jsx", ".mjs"),
    "json": (".geojson", ".json5", ".jsonc", ".jsonld", ".webmanifest"),
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
    "xml": (".csproj", ".plist", ".pom", ".svg", ".wsdl", ".xsd", ".xsl", ".xslt"),
    "yaml": (".yaml", ".yml"),
    "zig": (".zig",),
}
READERS |= {
    suffix: Format(f"text/x-{language}", PLAIN, language)
    for language, suffixes in SOURCE_CODE.items()
    for suffix in suffixes
}
