"""Archives of every kind, good, damaged and hostile: what is in them is read or accounted for."""

import bz2
import gzip
import io
import json
import lzma
import struct
import tarfile
import zipfile
from collections.abc import Callable, Iterator

import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from bhasa.documents.readers import READERS
from bhasa.documents.readers.archives import read
from bhasa.documents.readers.unpacking import MAX_MEMBER_BYTES, MAX_MEMBERS
from bhasa.documents.records import Conversation, Refused, Text

TEXT = "A state of fixed size remembers what matters.\n"
ONE = TEXT.encode()
Members = dict[str, bytes]
LINK, PIPE = "a link, which is not followed", "not a file but a pipe, socket or device"
LARGE = f"larger than {MAX_MEMBER_BYTES >> 20} MiB unpacked"
RATIO = "archive that unpacks to more than 100 times its size"
COMPRESS: dict[str, Callable[[bytes], bytes]] = {
    ".gz": lambda content: gzip.compress(content, mtime=0),
    ".bz2": bz2.compress,
    ".xz": lzma.compress,
    ".zst": zstandard.ZstdCompressor().compress,
}


def zipped(members: Members, method: int = zipfile.ZIP_DEFLATED, *, stream: bool = False) -> bytes:
    """`stream`: into a pipe, so that sizes stand in data descriptors."""
    written = io.BytesIO()
    if stream:
        written.seekable = lambda: False
    with zipfile.ZipFile(written, "w", method) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return written.getvalue()


def tarred(members: Members, format: int = tarfile.PAX_FORMAT, **header: object) -> bytes:
    written = io.BytesIO()
    with tarfile.open(fileobj=written, mode="w:", format=format) as archive:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            for key, value in header.items():
                setattr(info, key, value)
            archive.addfile(info, io.BytesIO(content))
    return written.getvalue()


def found(content: bytes, name: str) -> dict[str, str]:
    """By part: the text, or the reason."""
    parts = {}
    for record in records(content, name):
        parts[record.part] = record.text if isinstance(record, Text) else getattr(record, "reason", "chat")
    return parts


def records(content: bytes, name: str) -> Iterator[Text | Conversation | Refused]:
    try:
        yield from read(content, name)
    except Refused as refusal:
        yield refusal


def flagged(content: bytes, mask: int) -> bytes:
    """A zip file of one member with these bits set in both of its flags."""
    at, central = 6, content.index(b"PK\1\2") + 8
    changed = bytearray(content)
    for place in (at, central):
        changed[place] |= mask & 255
        changed[place + 1] |= mask >> 8
    return bytes(changed)


def patched(content: bytes, marker: bytes, offset: int, value: bytes) -> bytes:
    at = content.rindex(marker) + offset
    return content[:at] + value + content[at + len(value) :]


def linked_zip() -> bytes:
    info = zipfile.ZipInfo("link.txt")
    info.external_attr = 0o120777 << 16
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w") as archive:
        archive.writestr(info, "/etc/passwd")
    return written.getvalue()


def overlapping_zip(entries: int) -> bytes:
    """Every entry of the directory names the same packed bytes."""
    packed = zipped({"a.txt": bytes(1 << 20)})
    at, end = packed.index(b"PK\1\2"), packed.index(b"PK\5\6")
    directory = packed[at:end] * entries
    sizes = struct.pack("<HHLL", entries, entries, len(directory), at)
    return packed[:at] + directory + packed[end : end + 8] + sizes + packed[-2:]


def renamed_zip(name: bytes, flag: int = 0) -> bytes:
    """A zip file whose one member has a name of these bytes."""
    return flagged(zipped({"n" * len(name): ONE}).replace(b"n" * len(name), name), flag)


def nested(levels: int) -> tuple[str, bytes]:
    name, content = "a.txt", ONE
    for _ in range(levels):
        name, content = f"{name}.zip", zipped({name: content})
    return name, content


def forged_tar(name: bytes, kind: bytes, size: int, after: bytes = b"") -> bytes:
    """A header that says what it likes, with a right checksum."""
    header = name.ljust(100, b"\0") + b"0000644\0" + b"0000000\0" * 2
    header += b"%011o\0" % size + b"00000000000\0" + b" " * 8 + kind
    header = (header + bytes(100) + b"ustar\x0000").ljust(512, b"\0")
    total = b"%06o\0 " % sum(header)
    return header[:148] + total + header[156:] + after


GZIP_BOMB = gzip.compress(bytes(60 << 20), 1)
DAMAGED = zipped({"a.txt": ONE * 40, "b.txt": ONE}, zipfile.ZIP_STORED)
TWO = {"a.txt": ONE, "docs/b.md": ONE}
BOTH = {"a.txt": TEXT, "docs/b.md": TEXT}
BROKEN = "broken archive"
LONG = "d/" * 150 + "a.txt"

# By the name of the case: the file's name, its content (or what makes it, where it is large), and what is
# found in it by part: the text, or how the reason begins.
CASES: dict[str, tuple[str, bytes | Callable[[], bytes], dict[str, str]]] = {
    "zip": ("a.zip", zipped(TWO), BOTH),
    "zip, stored": ("a.zip", zipped(TWO, zipfile.ZIP_STORED), BOTH),
    "zip, bzip2": ("a.zip", zipped(TWO, zipfile.ZIP_BZIP2), BOTH),
    "zip, lzma": (
        "a.zip",
        zipped({"a.txt": ONE}, zipfile.ZIP_LZMA),
        {"a.txt": "member compressed in a way that is not read"},
    ),
    "zip, data descriptors": ("a.zip", zipped(TWO, stream=True), BOTH),
    "zip after a program": ("a.zip", b"#!/bin/sh\n" + zipped(TWO), BOTH),
    "zip before garbage": ("a.zip", zipped(TWO) + b"garbage", BOTH),
    "zip, upper case": ("A.ZIP", zipped({"A.TXT": ONE}), {"A.TXT": TEXT}),
    "zip, empty": ("a.zip", zipped({}), {}),
    "zip, directories": ("a.zip", zipped({"docs/": b"", "docs/a.txt": ONE}), {"docs/a.txt": TEXT}),
    "zip, empty member": ("a.zip", zipped({"a.txt": b""}), {"a.txt": "empty"}),
    "zip, unknown format": ("a.zip", zipped({"a.exe": ONE}), {"a.exe": "unsupported format .exe"}),
    "zip, hidden": (
        "a.zip",
        zipped({".git/a.txt": ONE, "__MACOSX/._a.txt": ONE}),
        {".git/a.txt": "hidden", "__MACOSX/._a.txt": "hidden"},
    ),
    "zip, link": ("a.zip", linked_zip(), {"link.txt": LINK}),
    "zip, encrypted": (
        "a.zip",
        flagged(zipped({"a.txt": ONE}), 1),
        {"a.txt": "encrypted member of an archive"},
    ),
    "zip, two of a name": (
        "a.zip",
        zipped({"a.txt": ONE, "b.txt": ONE}).replace(b"b.txt", b"a.txt"),
        {"a.txt": TEXT},
    ),
    "zip, outside": (
        "a.zip",
        zipped({"../../a.txt": ONE, "/etc/b.txt": ONE}),
        {"../../a.txt": TEXT, "/etc/b.txt": TEXT},
    ),
    "zip, name of control characters": ("a.zip", zipped({"\x1b[31m.txt": ONE}), {"\\x1b[31m.txt": TEXT}),
    "zip, long name": ("a.zip", zipped({LONG: ONE}), {"..." + LONG[-200:]: TEXT}),
    "zip, UTF-8 name": ("a.zip", zipped({"\u65e5.txt": ONE}), {"\u65e5.txt": TEXT}),
    "zip, UTF-8 name not said so": ("a.zip", renamed_zip("\u65e5.txt".encode()), {"\u65e5.txt": TEXT}),
    "zip, name in code page 437": ("a.zip", renamed_zip(b"caf\x82.txt"), {"caf\xe9.txt": TEXT}),
    "zip, name that is not the UTF-8 it says": ("a.zip", renamed_zip(b"caf\x82.txt", 0x800), {"": BROKEN}),
    "zip, CRC": (
        "a.zip",
        DAMAGED.replace(b"remembers", b"remember5", 1),
        {"a.txt": "broken member of an archive (BadZipFile)", "b.txt": TEXT},
    ),
    "zip, says less": (
        "a.zip",
        patched(zipped({"a.txt": ONE}), b"PK\1\2", 24, b"\5\0\0\0"),
        {"a.txt": "broken member"},
    ),
    "zip, says more": (
        "a.zip",
        patched(zipped({"a.txt": ONE}), b"PK\1\2", 24, b"\xff\xff\xff\0"),
        {"a.txt": TEXT},
    ),
    "zip, offset astray": (
        "a.zip",
        patched(zipped({"a.txt": ONE}), b"PK\1\2", 42, b"\7\0\0\0"),
        {"a.txt": "broken member"},
    ),
    "zip, other name inside": (
        "a.zip",
        zipped({"a.txt": ONE}).replace(b"a.txt", b"b.txt", 1),
        {"a.txt": "broken member"},
    ),
    "zip, directory cut": ("a.zip", zipped(TWO)[:-30], {"": BROKEN}),
    "zip, no directory": ("a.zip", zipped(TWO)[:60], {"": BROKEN}),
    "zip, directory of 4 GiB": (
        "a.zip",
        patched(zipped(TWO), b"PK\5\6", 12, b"\xff\xff\xff\xff"),
        {"": BROKEN},
    ),
    "zip, one packed text for all": ("a.zip", overlapping_zip(50), {"": "archive whose members overlap"}),
    "zip, many members": (
        "a.zip",
        lambda: zipped({f"{number}": b"" for number in range(MAX_MEMBERS + 1)}),
        {"0": "empty", "the rest": f"archive of more than {MAX_MEMBERS:,} members"},
    ),
    "zip, bomb": (
        "a.zip",
        lambda: zipped({"a.txt": ONE} | {f"{number}.txt": bytes(9 << 20) for number in range(3)}),
        {"a.txt": TEXT, "0.txt": "binary data", "the rest": RATIO},
    ),
    "zip, large member": (
        "a.zip",
        lambda: zipped({"a.txt": bytes(MAX_MEMBER_BYTES + 1), "b.txt": ONE}, zipfile.ZIP_STORED),
        {"a.txt": LARGE, "b.txt": TEXT},
    ),
    "zip of zip": (*nested(2), {"a.txt.zip#a.txt": TEXT}),
    "zip of zip of zip": (*nested(3), {"a.txt.zip.zip#a.txt.zip": "archive in an archive in an archive"}),
    "zip of broken zip": ("a.zip", zipped({"b.zip": ONE, "a.txt": ONE}), {"b.zip": BROKEN, "a.txt": TEXT}),
    "zip of bombs": (
        "a.zip",
        zipped({f"{number}.txt.gz": GZIP_BOMB for number in range(4)}, zipfile.ZIP_STORED),
        {"the rest": RATIO},
    ),
    "zip of tar.gz": (
        "a.zip",
        zipped({"b.tar.gz": COMPRESS[".gz"](tarred(TWO))}),
        {f"b.tar.gz#{part}": TEXT for part in TWO},
    ),
    "not a zip": ("a.zip", ONE, {"": BROKEN}),
    "tar": ("a.tar", tarred(TWO), BOTH),
    "tar, ustar": ("a.tar", tarred(TWO, tarfile.USTAR_FORMAT), BOTH),
    "tar, GNU": ("a.tar", tarred({LONG: ONE}, tarfile.GNU_FORMAT), {"..." + LONG[-200:]: TEXT}),
    "tar, pax": ("a.tar", tarred({LONG: ONE}), {"..." + LONG[-200:]: TEXT}),
    "tar, from here": ("a.tar", tarred({"./a.txt": ONE}), {"./a.txt": TEXT}),
    "tar, name in Latin-1": (
        "a.tar",
        forged_tar(b"caf\xe9.txt", b"0", len(ONE), ONE.ljust(512, b"\0") + bytes(1024)),
        {"caf\\udce9.txt": TEXT},
    ),
    "tar, symbolic link": (
        "a.tar",
        tarred({"a.txt": b""}, type=tarfile.SYMTYPE, linkname="/etc/passwd"),
        {"a.txt": LINK},
    ),
    "tar, hard link": (
        "a.tar",
        tarred({"a.txt": b""}, type=tarfile.LNKTYPE, linkname="../b"),
        {"a.txt": LINK},
    ),
    "tar, pipe": ("a.tar", tarred({"a.txt": b""}, type=tarfile.FIFOTYPE), {"a.txt": PIPE}),
    "tar, device": ("a.tar", tarred({"a.txt": b""}, type=tarfile.CHRTYPE), {"a.txt": PIPE}),
    "tar, sparse": (
        "a.tar",
        tarred({"a.txt": ONE}, pax_headers={"GNU.sparse.map": "0,1", "GNU.sparse.size": str(1 << 40)}),
        {"a.txt": "a sparse file in an archive"},
    ),
    "tar, no end": ("a.tar", tarred({"a.txt": ONE})[:1024], {"a.txt": TEXT}),
    "tar, cut": (
        "a.tar",
        tarred({"a.txt": ONE, "b.txt": ONE * 20})[:2000],
        {"a.txt": TEXT, "b.txt": "broken member"},
    ),
    "tar, damaged in the middle": (
        "a.tar",
        patched(tarred({"a.txt": ONE, "b.txt": ONE}), b"b.txt", 0, b"c"),
        {"a.txt": TEXT, "the rest": "broken archive (a damaged header)"},
    ),
    "tar, says 8 GiB": ("a.tar", forged_tar(b"a.txt", b"0", (8 << 30) - 1, ONE), {"a.txt": "broken member"}),
    "tar, header of 4 GiB": (
        "a.tar",
        forged_tar(b"x", b"x", 4 << 30, ONE),
        {"": "archive with a header that is too long"},
    ),
    "tar, long name of 1 GiB": (
        "a.tar",
        forged_tar(b"x", b"L", 1 << 30, ONE),
        {"": "archive with a header that is too long"},
    ),
    "tar, a thousand long names": (
        "a.tar",
        forged_tar(b"x", b"L", 1, b"n".ljust(512, b"\0")) * 2000,
        {"": BROKEN},
    ),
    "tar, many members": (
        "a.tar",
        lambda: tarred({f"{number}": b"" for number in range(MAX_MEMBERS + 1)}),
        {"the rest": f"archive of more than {MAX_MEMBERS:,} members"},
    ),
    "tar, a million directories": (
        "a.tar",
        forged_tar(b"d", b"5", 0) * (MAX_MEMBERS * 3),
        {"": f"archive of more than {MAX_MEMBERS:,} members"},
    ),
    "tar, large member": (
        "a.tar",
        lambda: tarred({"a.txt": bytes(MAX_MEMBER_BYTES + 1), "b.txt": ONE}),
        {"a.txt": LARGE, "b.txt": TEXT},
    ),
    "not a tar": ("a.tar", ONE * 100, {"": BROKEN}),
    "gz of JSON lines": (
        "a.jsonl.gz",
        gzip.compress(
            json.dumps({"messages": [{"role": r, "content": "x"} for r in ("user", "assistant")]}).encode()
        ),
        {"line 1": "chat"},
    ),
    "gz, two members": ("a.txt.gz", gzip.compress(ONE) + gzip.compress(ONE), {"": TEXT * 2}),
    "gz, zeros after it": ("a.txt.gz", gzip.compress(ONE) + bytes(512), {"": TEXT}),
    "gz, garbage after it": ("a.txt.gz", gzip.compress(ONE) + b"garbage", {"": "broken member"}),
    "gz, CRC": ("a.txt.gz", gzip.compress(ONE)[:-8] + bytes(8), {"": "broken member"}),
    "gz of an unknown format": ("a.exe.gz", gzip.compress(ONE), {"": "unsupported format .exe"}),
    "gz of nothing": ("a.txt.gz", gzip.compress(b""), {"": "empty"}),
    "gz, bomb": ("a.txt.gz", GZIP_BOMB, {"": RATIO}),
    "xz, two streams": ("a.txt.xz", lzma.compress(ONE) + bytes(4) + lzma.compress(ONE), {"": TEXT * 2}),
    "xz, window of 4 GiB": (
        "a.txt.xz",
        lzma.compress(ONE, filters=[{"id": lzma.FILTER_LZMA2, "dict_size": 1 << 29}]),
        {"": "broken member of an archive (LZMAError)"},
    ),
    "zst, two frames": ("a.txt.zst", COMPRESS[".zst"](ONE) * 2, {"": TEXT * 2}),
    "zst, bomb": ("a.txt.zst", lambda: COMPRESS[".zst"](bytes(60 << 20)), {"": RATIO}),
    "bz2, two streams": ("a.txt.bz2", bz2.compress(ONE) * 2, {"": TEXT * 2}),
    "bz2, bomb": ("a.txt.bz2", lambda: bz2.compress(bytes(60 << 20)), {"": RATIO}),
}
for suffix, compress in COMPRESS.items():
    CASES |= {
        f"{suffix}": (f"a.py{suffix}", compress(ONE), {"": TEXT}),
        f"{suffix}, cut": (f"a.txt{suffix}", compress(ONE * 99)[:-12], {"": "broken member"}),
        f"not {suffix}": (f"a.txt{suffix}", ONE, {"": "broken member"}),
        f"tar{suffix}": (f"a.tar{suffix}", compress(tarred(TWO)), BOTH),
    }
for suffix, short in {".gz": ".tgz", ".bz2": ".tbz2", ".xz": ".txz", ".zst": ".tzst"}.items():
    CASES[short] = (f"a{short}", COMPRESS[suffix](tarred(TWO)), BOTH)


@pytest.mark.parametrize("case", CASES)
def test_all_of_an_archive_is_read_or_accounted_for(case: str) -> None:
    name, content, expected = CASES[case]
    parts = found(content if isinstance(content, bytes) else content(), name)
    assert {part: parts.get(part, "")[: len(text)] for part, text in expected.items()} == expected
    assert parts.keys() == expected.keys() or "the rest" in parts


def test_the_table_is_as_long_as_promised() -> None:
    assert len(CASES) >= 60


def test_a_member_has_the_type_and_the_language_of_its_format() -> None:
    (record,) = read(gzip.compress(ONE), "a.py.gz")
    assert (record.media_type, record.language) == ("text/x-python", "python")
    text, chat = read(
        zipped({"a.rs": ONE, "b.jsonl": b'{"messages": [{"role": "user", "content": "Q"}, '
                b'{"role": "assistant", "content": "A"}]}'}),
        "a.zip",
    )  # fmt: skip
    assert (text.media_type, text.language, text.part) == ("text/x-rust", "rust", "a.rs")
    assert isinstance(chat, Conversation)
    assert chat.part == "b.jsonl#line 1"


def test_every_archive_suffix_is_in_the_table() -> None:
    suffixes = {s for s, reader in READERS.items() if reader.module.endswith(".archives")}
    assert suffixes == {"." + name.rpartition(".")[2].lower() for name, _, _ in CASES.values()}


@given(st.data())
@settings(max_examples=300)
def test_damaged_archives_are_read_or_refused(data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(["zip", "tar", "tar.gz", "tar.bz2", "tar.xz", "tar.zst"]))
    content = bytearray(zipped(TWO) if name == "zip" else tarred(TWO))
    if "." in name:
        content = bytearray(COMPRESS["." + name.rpartition(".")[2]](bytes(content)))
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    del content[data.draw(st.integers(0, len(content))) or len(content) :]
    for record in records(bytes(content), f"a.{name}"):
        assert isinstance(record, Text | Refused)
