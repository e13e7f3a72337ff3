"""PDF through pypdf."""

from __future__ import annotations

import io
from collections.abc import Iterator

import pypdf
import pypdf.filters  # pypdf itself would import it when a file needs it, which is too late
from pypdf.errors import DependencyError, FileNotDecryptedError

from bhasa.documents.records import Refused, Text, quarantined

MAX_TEXT_CHARACTERS = 64 << 20


def read(content: bytes, name: str) -> Iterator[Text]:
    encrypted = False
    try:
        reader = pypdf.PdfReader(io.BytesIO(content))
        encrypted = reader.is_encrypted
        if encrypted and not reader.decrypt(""):
            raise quarantined("encrypted PDF")
        pages = [page.extract_text() for page in reader.pages]
    except FileNotDecryptedError:
        raise quarantined("encrypted PDF") from None
    except DependencyError:  # a cipher, or a decoder of a stream
        reason = "encrypted PDF" if encrypted else "PDF that needs a decoder that is not installed"
        raise quarantined(reason) from None
    except (Refused, MemoryError):
        raise
    except Exception as error:  # any parser bug is this file's fault alone
        raise quarantined(f"broken PDF ({type(error).__name__})") from None
    text = "\n\n".join(pages)
    if len(text) > MAX_TEXT_CHARACTERS:
        raise quarantined("PDF with too much text")
    if not text.strip():
        raise quarantined("PDF without text")
    yield Text(text, {"pages": len(pages)})
