"""What every reader in the registry promises."""

import bz2
import gzip
import io
import json
import lzma
import tarfile
import zipfile
from contextlib import suppress

import pandas as pd
import pytest
import zstandard
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bhasa.documents.config import IngestConfig
from bhasa.documents.readers import PLAIN, READERS
from bhasa.documents.records import Refused, Text
from bhasa.documents.wire import Job, pack_result
from bhasa.documents.worker import results
from bhasa.documents.workers import Processes
from tests.documents.readers.office_files import OPEN_DOCUMENT, docx, epub, odt, paragraph, pptx, shape

TEXT = "A state of fixed size remembers what matters.\n"


@pytest.fixture
def samples(text_pdf: bytes) -> dict[str, bytes]:
    """A valid file per format that is not plain text."""
    chat = {"messages": [{"role": "user", "content": "Q"}, {"role": "assistant", "content": "A"}]}
    lines = json.dumps(chat).encode()
    return {".pdf": text_pdf, ".jsonl": lines, ".ndjson": lines, **_archives(), **_data(), **_office()}


def _data() -> dict[str, bytes]:
    xml = b"<?xml version='1.0' encoding='windows-1251'?><p>A state <b>of fixed size</b></p>"
    when = pd.Timestamp("2024-01-31 12:00", tz="Europe/Berlin")
    frame = pd.DataFrame({"word": ["state", None], "share": [0.5, None], "when": [when, when]})
    parquet, excel = io.BytesIO(), io.BytesIO()
    frame.to_parquet(parquet)
    frame.assign(when=when.date()).to_excel(excel)
    return {
        ".json": b'{"name": "state"}',
        ".csv": b"a,b\n1,2\n",
        ".tsv": b"a\tb\n1\t2\n",
        ".parquet": parquet.getvalue(),
        **dict.fromkeys((".xlsx", ".xlsm"), excel.getvalue()),
        **dict.fromkeys((".xml", ".dbk", ".tei", ".rss", ".atom"), xml),
    }


def _office() -> dict[str, bytes]:
    page = b"<html><body>A state of fixed size</body></html>"
    flat = f"<d{OPEN_DOCUMENT}><text:p>A state of fixed size</text:p></d>".encode()
    opened = odt("<text:p>A state of fixed size</text:p>")
    mail = b"Subject: State\n\nA state of fixed size\n"
    spoken = b"WEBVTT\n\n1\n00:01.000 --> 00:02.000\nA state of fixed size\n"
    return {
        **dict.fromkeys((".html", ".htm", ".xhtml"), page),
        ".epub": epub({"a": "A state of fixed size"}),
        **dict.fromkeys((".docx", ".docm"), docx(paragraph("A state of fixed size"))),
        **dict.fromkeys((".pptx", ".pptm", ".ppsx"), pptx([shape("A state of fixed size")])),
        **{".odt": opened, ".odp": opened, ".fodt": flat, ".fodp": flat},
        **dict.fromkeys((".eml", ".mht", ".mhtml"), mail),
        **{".mbox": b"From a@b Thu Jan  1 00:00:00 1970\n" + mail},
        **{".srt": spoken, ".vtt": spoken},
        ".rtf": b"{\\rtf1 A state of fixed size}",
        ".ipynb": json.dumps({"cells": [{"cell_type": "markdown", "source": ["A state"]}]}).encode(),
    }


def _archives() -> dict[str, bytes]:
    """Each with `TEXT` in a file of its own."""
    files: dict[str, bytes] = {}
    stored, plain = io.BytesIO(), io.BytesIO()
    with zipfile.ZipFile(stored, "w") as archive:
        archive.writestr("a.txt", TEXT)
    with tarfile.open(fileobj=plain, mode="w") as archive:
        info = tarfile.TarInfo("a.txt")
        info.size = len(TEXT)
        archive.addfile(info, io.BytesIO(TEXT.encode()))
    files[".zip"], files[".tar"] = stored.getvalue(), plain.getvalue()
    contents = TEXT.encode(), files[".tar"]
    zstd = zstandard.ZstdCompressor().compress
    for names, compress in {
        (".gz", ".tgz"): gzip.compress,
        (".bz2", ".tbz2"): bz2.compress,
        (".xz", ".txz"): lzma.compress,
        (".zst", ".tzst"): zstd,
    }.items():
        files |= {name: compress(content) for name, content in zip(names, contents, strict=True)}
    return files


@pytest.mark.parametrize("suffix", READERS)
def test_reads_a_valid_file_the_same_way_each_time(suffix: str, samples: dict[str, bytes]) -> None:
    reader = READERS[suffix]
    content = TEXT.encode() if reader.module == PLAIN else samples[suffix]
    records = list(reader.read(content, "file" + suffix))
    assert records
    assert not any(isinstance(record, Refused) for record in records)
    assert all(r.text.strip() and json.dumps(r.meta) for r in records if isinstance(r, Text))
    assert list(reader.read(content, "file" + suffix)) == records


def test_reads_in_the_sandbox_what_it_reads_outside(samples: dict[str, bytes]) -> None:
    """Else it imports something when a file needs it, or opens something."""
    values = {"sources": [{"kind": "folder", "path": "raw"}], "min_characters": 1}
    config = IngestConfig.parse(values, "test")
    suffixes = {reader.module: suffix for suffix, reader in READERS.items()}
    jobs = [
        Job("file" + suffix, "", "und", "raw", module, samples.get(suffix, TEXT.encode()))
        for module, suffix in suffixes.items()
    ]
    with Processes(config, 1) as processes:
        inside = [result for found in processes.map([jobs]) for result in found if result]
    outside = [result for job in jobs for result in results(job, config)]
    assert list(map(pack_result, inside)) == list(map(pack_result, outside))


MODULES = {reader.module: suffix for suffix, reader in READERS.items()}


@pytest.mark.parametrize("suffix", MODULES.values())
@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_reads_or_refuses_a_damaged_file(suffix: str, samples: dict[str, bytes], data: st.DataObject) -> None:
    content = bytearray(samples.get(suffix, TEXT.encode()))
    for place in data.draw(st.lists(st.integers(0, len(content) - 1), min_size=1, max_size=4)):
        content[place] = data.draw(st.integers(0, 255))
    end = data.draw(st.integers(len(content) // 2, 2 * len(content)))
    with suppress(Refused):
        assert list(READERS[suffix].read(bytes(content[:end]), "file" + suffix)) is not None


@pytest.mark.parametrize("suffix", MODULES.values())
@given(content=st.binary(max_size=200))
def test_reads_or_refuses_any_bytes(suffix: str, content: bytes) -> None:
    with suppress(Refused):
        assert list(READERS[suffix].read(content, "file" + suffix))
