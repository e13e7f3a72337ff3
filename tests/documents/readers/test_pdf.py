import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from importlib.util import find_spec

import pytest

from bhasa.documents.readers.pdf import Worker
from bhasa.documents.records import Outcome, Refused

MakePdf = Callable[..., bytes]


@pytest.fixture(scope="module")
def worker() -> Iterator[Worker]:
    worker = Worker()
    yield worker
    worker.close()


def refusal(worker: Worker, content: bytes) -> str:
    with pytest.raises(Refused) as caught:
        worker.read(content)
    assert caught.value.outcome == Outcome.QUARANTINED
    return caught.value.reason


def test_text_of_all_pages_is_read(worker: Worker, text_pdf: bytes) -> None:
    text = worker.read(text_pdf)
    assert text.text.strip() == ("The state is a small notebook. " * 3).strip()
    assert text.meta == {"pages": 1}


def test_encrypted_pdf_is_refused_by_name(worker: Worker, make_pdf: MakePdf) -> None:
    assert refusal(worker, make_pdf(b"BT (x) Tj ET", password="secret")) == "encrypted PDF"


@pytest.mark.skipif(find_spec("brotli") is not None, reason="the decoder is installed")
def test_a_missing_decoder_is_not_taken_for_encryption(worker: Worker, make_pdf: MakePdf) -> None:
    packed = make_pdf(b"BT (x) Tj ET").replace(b"/Length 12", b"/Filter /BrotliDecode /Length 12")
    assert refusal(worker, packed) == "PDF that needs a decoder that is not installed"


def test_pdf_with_an_empty_password_is_read(worker: Worker, make_pdf: MakePdf) -> None:
    locked = make_pdf(b"BT /F1 12 Tf 72 720 Td (anyone may read) Tj ET", password="")
    assert worker.read(locked).text.strip() == "anyone may read"


def test_pdf_without_text_is_refused(worker: Worker, make_pdf: MakePdf) -> None:
    assert refusal(worker, make_pdf(b"72 720 m 100 720 l S")) == "PDF without text"


@pytest.mark.parametrize("content", [b"", b"%PDF-1.7\nnothing more", b"\0" * 999, b"plain text"])
def test_what_is_no_pdf_is_refused_as_broken(worker: Worker, content: bytes) -> None:
    assert refusal(worker, content).startswith("broken PDF (")


def test_a_pdf_cut_anywhere_is_read_or_refused(worker: Worker, text_pdf: bytes) -> None:
    for end in range(0, len(text_pdf), 40):
        with suppress(Refused):
            assert worker.read(text_pdf[:end]).text.texts


@pytest.mark.parametrize("limits", [{"cpu_seconds": 1}, {"wall_seconds": 2.0}])
def test_a_pdf_that_takes_forever_is_killed_and_the_next_one_is_read(
    limits: dict[str, float], slow_pdf: bytes, text_pdf: bytes
) -> None:
    worker = Worker(**limits)
    try:
        assert refusal(worker, slow_pdf).startswith("PDF that takes more than")
        assert worker.read(text_pdf).text
    finally:
        worker.close()


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the kernel does not hold a process to it")
def test_a_pdf_that_takes_more_memory_than_allowed_is_quarantined_and_the_next_one_is_read(
    make_pdf: MakePdf, text_pdf: bytes
) -> None:
    image = b"BI /W 1 /H 1 /CS /G /BPC 8 ID " + b"a" * 30_000_000 + b" EI "
    inflating = make_pdf(image + b"BT /F1 12 Tf 72 720 Td (beside it) Tj ET", compress=True)
    assert len(inflating) < 100_000
    for memory_bytes, is_enough in ((1 << 30, True), (120 << 20, False)):
        worker = Worker(memory_bytes=memory_bytes)
        try:
            if is_enough:
                assert worker.read(inflating).text.strip() == "beside it"
            else:
                assert refusal(worker, inflating) == "PDF that takes more than 10 s or 120 MiB to read"
            assert worker.read(text_pdf).text
        finally:
            worker.close()


def test_one_worker_serves_many_files(worker: Worker, text_pdf: bytes) -> None:
    worker.read(text_pdf)
    process = worker._process
    refusal(worker, b"broken")
    worker.read(text_pdf)
    assert worker._process is process


def test_a_worker_that_died_is_replaced(worker: Worker, text_pdf: bytes) -> None:
    worker.read(text_pdf)
    worker._process.kill()
    worker._process.wait()
    refusal(worker, text_pdf)
    assert worker.read(text_pdf).text
