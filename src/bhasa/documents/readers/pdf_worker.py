"""The process that parses PDFs for `pdf.py`: bytes in, one JSON answer out, until the pipe closes.

Run as `python -m bhasa.documents.readers.pdf_worker DESCRIPTOR CPU_SECONDS MEMORY_BYTES`. The processor
limit is set anew before each file; passing it kills this process, which is the parent's signal.
"""

from __future__ import annotations

import io
import json
import logging
import resource
import sys
from multiprocessing.connection import Connection
from typing import Any

import pypdf
from pypdf.errors import DependencyError, FileNotDecryptedError

MAX_TEXT_CHARACTERS = 64 << 20


def main() -> None:
    descriptor, cpu_seconds, memory_bytes = map(int, sys.argv[1:])
    logging.disable()  # pypdf warns of every oddity in a file
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if sys.platform == "linux":  # elsewhere the kernel does not hold a process to it
        resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))
    with Connection(descriptor) as pipe:
        pipe.send_bytes(b"ready")
        while True:
            try:
                content = pipe.recv_bytes()
            except EOFError:
                return
            _limit_cpu(cpu_seconds)
            pipe.send_bytes(json.dumps(_parse(content)).encode())


def _limit_cpu(seconds: int) -> None:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    soft = int(usage.ru_utime + usage.ru_stime) + 1 + seconds
    resource.setrlimit(resource.RLIMIT_CPU, (soft, resource.getrlimit(resource.RLIMIT_CPU)[1]))


def _parse(content: bytes) -> dict[str, Any]:
    encrypted = False
    try:
        reader = pypdf.PdfReader(io.BytesIO(content))
        encrypted = reader.is_encrypted
        if encrypted and not reader.decrypt(""):
            return {"refused": "encrypted PDF"}
        pages = [page.extract_text() for page in reader.pages]
    except MemoryError:
        raise  # the process is no longer to be trusted: end it
    except FileNotDecryptedError:
        return {"refused": "encrypted PDF"}
    except DependencyError:  # a cipher, or a decoder of a stream
        return {"refused": "encrypted PDF" if encrypted else "PDF that needs a decoder that is not installed"}
    except Exception as error:  # any parser bug is this file's fault alone
        return {"refused": f"broken PDF ({type(error).__name__})"}
    text = "\n\n".join(pages)
    if len(text) > MAX_TEXT_CHARACTERS:
        return {"refused": "PDF with too much text"}
    if not text.strip():
        return {"refused": "PDF without text"}
    return {"text": text, "pages": len(pages)}


if __name__ == "__main__":
    main()
