"""A reader per file format. `READERS` maps a file name's suffix to how the file is read.

`format_of` knows names without a suffix too. A file that neither knows is skipped, and its account says so.

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
from pathlib import PurePosixPath

from bhasa.documents.readers.languages import BY_NAME, SOURCE_CODE, TEMPLATES
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


def source_code(language: str) -> Format:
    """Of a programming language, or one for configuration, under the name that its documents bear."""
    return Format(f"text/x-{language}", PLAIN, language)


READERS: dict[str, Format] = {
    **dict.fromkeys(("", ".txt", ".text", ".log"), Format("text/plain", PLAIN)),
    **dict.fromkeys((".md", ".markdown", ".mdx", ".rmd", ".qmd"), Format("text/markdown", PLAIN)),
    **dict.fromkeys((".tex", ".ltx", ".sty"), Format("text/x-tex", PLAIN)),
    **dict.fromkeys((".adoc", ".asciidoc"), Format("text/asciidoc", PLAIN)),
    ".org": Format("text/org", PLAIN),
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
OFFICE = "application/vnd.openxmlformats-officedocument"
OPEN_DOCUMENT = "application/vnd.oasis.opendocument"
HYPERTEXT = "bhasa.documents.readers.hypertext"
READERS |= {
    **dict.fromkeys((".html", ".htm"), Format("text/html", HYPERTEXT)),
    ".xhtml": Format("application/xhtml+xml", HYPERTEXT),
    ".epub": Format("application/epub+zip", "bhasa.documents.readers.epub"),
    **dict.fromkeys(
        (".docx", ".docm"), Format(f"{OFFICE}.wordprocessingml.document", "bhasa.documents.readers.docx")
    ),
    **dict.fromkeys(
        (".pptx", ".pptm", ".ppsx"),
        Format(f"{OFFICE}.presentationml.presentation", "bhasa.documents.readers.pptx"),
    ),
    **dict.fromkeys((".odt", ".fodt"), Format(f"{OPEN_DOCUMENT}.text", "bhasa.documents.readers.odf")),
    **dict.fromkeys(
        (".odp", ".fodp"), Format(f"{OPEN_DOCUMENT}.presentation", "bhasa.documents.readers.odf")
    ),
}
SUBTITLES = "bhasa.documents.readers.subtitles"
READERS |= {
    ".srt": Format("application/x-subrip", SUBTITLES),
    ".vtt": Format("text/vtt", SUBTITLES),
    ".ipynb": Format("application/x-ipynb+json", "bhasa.documents.readers.notebook"),
}
READERS[".rtf"] = Format("application/rtf", "bhasa.documents.readers.rtf")
MAIL = "bhasa.documents.readers.mail"
READERS |= {
    ".eml": Format("message/rfc822", MAIL),
    ".mbox": Format("application/mbox", MAIL),
    **dict.fromkeys((".mht", ".mhtml"), Format("multipart/related", MAIL)),  # a page as browsers save it
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

READERS |= {
    suffix: source_code(language) for language, suffixes in SOURCE_CODE.items() for suffix in suffixes
}


def format_of(name: str) -> Format | None:
    """How a file of this name is read, in whatever case it is written; None where nobody knows."""
    path = PurePosixPath(name.lower())
    if path.name in BY_NAME:
        return source_code(BY_NAME[path.name])
    suffix = suffix_of(name)
    if suffix not in TEMPLATES:
        return READERS.get(suffix)
    filled = path.with_suffix("")
    inner = format_of(str(filled)) if filled.suffix or suffix not in READERS else None
    return inner or READERS.get(suffix)


def suffix_of(name: str) -> str:
    """In lower case; empty where what follows the dot is a number, as in `v1.2`."""
    suffix = PurePosixPath(name).suffix.lower()
    return "" if suffix[1:].isdecimal() else suffix
