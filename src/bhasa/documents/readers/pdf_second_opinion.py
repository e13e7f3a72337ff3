"""What pypdf finds on a page where pdfium finds no text. Its work is counted, since it takes longer."""

from __future__ import annotations

import io
import pkgutil
from contextlib import suppress
from functools import cached_property
from importlib import import_module

import pypdf
from pypdf.errors import DependencyError

from bhasa.documents.records import Refused, quarantined

MAX_OPERATORS = 1_000_000  # of content streams, in the whole file
PAGE_COST = 20_000  # operators that a page counts as at least: no more than 50 pages are read
MAX_CONTENT_BYTES = 4 << 20  # of a page, which pypdf parses before an operator is counted

# pypdf imports some of its modules when they are first used, which is too late where no file can be opened.
for module in pkgutil.walk_packages(pypdf.__path__, "pypdf."):
    with suppress(ImportError):  # those for packages that are not installed
        import_module(module.name)


class TooMuchWork(Exception):
    """What is left of the page is not read."""


class SecondOpinion:
    """Of one file."""

    def __init__(self, content: bytes) -> None:
        self._content = content
        self._operators = MAX_OPERATORS
        self.missing_decoder = ""
        """The reason, where a page could not be read for lack of one."""

    def count_pages(self) -> int:
        """Raises `Refused` where there is no way into the file."""
        try:
            return len(self._reader.pages)
        except (Refused, MemoryError):
            raise
        except Exception as error:
            raise quarantined(f"broken PDF ({type(error).__name__})") from None

    def page(self, number: int) -> str:
        """Its text, or nothing."""
        if self._operators <= 0:
            return ""
        before = self._operators
        try:
            return self._text(number)
        except MemoryError:
            raise
        except DependencyError:
            self.missing_decoder = "PDF that needs a decoder that is not installed"
        except Exception:  # whatever is wrong, there is no second opinion
            pass
        finally:
            self._operators = min(self._operators, before - PAGE_COST)
        return ""

    def metadata(self) -> dict[str, str]:
        """`Title` and the like."""
        try:
            return {name.lstrip("/"): str(value) for name, value in (self._reader.metadata or {}).items()}
        except MemoryError:
            raise
        except Exception:
            return {}

    @cached_property
    def _reader(self) -> pypdf.PdfReader:
        reader = pypdf.PdfReader(io.BytesIO(self._content))
        if reader.is_encrypted and not reader.decrypt(""):
            raise quarantined("encrypted PDF")
        return reader

    def _text(self, number: int) -> str:
        page = self._reader.pages[number]
        content = page.get_contents()
        if content is None or len(content.get_data()) > MAX_CONTENT_BYTES:
            return ""
        return page.extract_text(visitor_operand_before=self._count)

    def _count(self, *_: object) -> None:
        self._operators -= 1
        if self._operators < 0:
            raise TooMuchWork
