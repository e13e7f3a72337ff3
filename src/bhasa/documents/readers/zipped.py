"""Parts of a document that is a zip file, such as EPUB, DOCX, ODT and PPTX: read by name into memory.

Under the limits that hold for archives. Nothing is extracted to disk.
"""

from __future__ import annotations

import encodings.cp437  # noqa: F401  # of names; later no file can be opened

from bhasa.documents.readers.unpacking import Budget, zip_members
from bhasa.documents.records import Refused, quarantined

OLD_OFFICE_FILE = bytes.fromhex("d0cf11e0a1b11ae1")  # also what holds a DOCX that has a password


class Zip:
    """Names are looked up without regard to case and the kind of slash, as office formats ask for."""

    def __init__(self, content: bytes) -> None:
        if content.startswith(OLD_OFFICE_FILE):
            raise quarantined("office file that is encrypted or of the old binary kind")
        try:
            members = list(zip_members(content, Budget(len(content))))
        except (Refused, MemoryError):
            raise
        except Exception as error:  # any fault of the library is of this file alone
            raise quarantined(f"broken zip file ({type(error).__name__})") from None
        self._members = {_key(member.name): member for member in members}

    def __contains__(self, name: str) -> bool:
        return _key(name) in self._members

    def read(self, name: str) -> bytes:
        member = self._members.get(_key(name))
        if member is None:
            raise quarantined("document without a part that it needs")
        if member.refusal:
            raise quarantined(member.refusal.reason)
        try:
            return member.read()
        except Refused as refused:
            raise quarantined(refused.reason) from None
        except MemoryError:
            raise
        except Exception as error:
            raise quarantined(f"broken zip file ({type(error).__name__})") from None


def _key(name: str) -> str:
    return name.replace("\\", "/").lstrip("/").casefold()
