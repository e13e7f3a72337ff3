"""What a folder may hold, or become while it is read: each entry has one account, and nothing hangs."""

import os
import socket
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from bhasa.documents.config import IngestConfig
from bhasa.documents.corpus import Corpus
from bhasa.documents.sources import open_source
from tests.documents.in_this_process import add_all

LIMIT = 10_000
TEXT = b"A state of fixed size remembers what matters most of all, and forgets the rest.\n"
LINK, SPECIAL = "a link, which is not followed", "not a file but a pipe, socket or device"
LARGE = "larger than max_file_bytes"

Make = Callable[[Path], object]


def write(content: bytes, name: bytes = b"x.txt") -> Make:
    def make(raw: Path) -> None:
        path = os.path.join(os.fsencode(raw), name)  # noqa: PTH118 - names that are no text
        with open(path, "wb") as stream:  # noqa: PTH123
            stream.write(content)

    return make


def link(target: str) -> Make:
    return lambda raw: (raw / "x.txt").symlink_to(target)


def sparse(size: int) -> Make:
    def make(raw: Path) -> None:
        with (raw / "x.txt").open("wb") as stream:
            stream.truncate(size)

    return make


def bind(raw: Path) -> None:
    with socket.socket(socket.AF_UNIX) as server:
        here = Path.cwd()
        os.chdir(raw)  # the path of a socket is short
        try:
            server.bind("x.txt")
        finally:
            os.chdir(here)


def device(raw: Path) -> None:
    try:
        os.mknod(raw / "x.txt", 0o600 | 0o020000, os.makedev(1, 5))  # /dev/zero
    except PermissionError:
        pytest.skip("only root makes devices")


def deep(raw: Path) -> None:
    """Far below the length of a path that the system takes."""
    here = Path.cwd()
    os.chdir(raw)
    try:
        for _ in range(600):
            Path("a" * 20).mkdir()
            os.chdir("a" * 20)
    finally:
        os.chdir(here)


def folder(name: str, inside: str = "a.txt") -> Make:
    def make(raw: Path) -> None:
        (raw / name).mkdir(parents=True)
        (raw / name / inside).write_bytes(TEXT)

    return make


def hard_link(raw: Path) -> None:
    (raw / "x.txt").write_bytes(TEXT)
    (raw / "y.txt").hardlink_to(raw / "x.txt")


def linked_loop(raw: Path) -> None:
    (raw / "one").symlink_to("two")
    (raw / "two").symlink_to("one")


STILL: dict[str, tuple[Make, list[str]]] = {
    "a text": (write(TEXT), ["kept"]),
    "an empty file": (write(b""), ["empty"]),
    "as large as allowed": (write(b"x" * (LIMIT - 1) + b"\n"), ["kept"]),
    "a byte larger": (write(b"x" * (LIMIT + 1)), [LARGE]),
    "sparse, small": (sparse(1000), ["binary data"]),
    "sparse, of a terabyte": (sparse(1 << 40), [LARGE]),
    "blanks only": (write(b" \n\t" * 1000), ["shorter than min_characters"]),
    "bytes only": (write(bytes(range(256)) * 9), ["binary data"]),
    "link to a file": (link("/etc/passwd"), [LINK]),
    "link to a folder": (link("/etc"), [LINK]),
    "link to nothing": (link("nowhere"), [LINK]),
    "link to itself": (link("x.txt"), [LINK]),
    "link to the folder it is in": (link("."), [LINK]),
    "link to the folder above": (link(".."), [LINK]),
    "link to a device": (link("/dev/zero"), [LINK]),
    "link to a process's memory": (link("/proc/self/mem"), [LINK]),
    "two links to each other": (linked_loop, [LINK, LINK]),
    "a second name of a file": (hard_link, ["kept", "equal text"]),
    "a pipe": (lambda raw: os.mkfifo(raw / "x.txt"), [SPECIAL]),
    "a socket": (bind, [SPECIAL]),
    "a device": (device, [SPECIAL]),
    "a hidden file": (write(TEXT, b".x.txt"), ["hidden"]),
    "a hidden folder": (folder(".git"), ["hidden"]),
    "a folder with the name of a file": (folder("x.txt"), ["kept"]),
    "a folder with the name of a PDF": (folder("x.pdf"), ["kept"]),
    "an empty folder": (lambda raw: (raw / "empty").mkdir(), []),
    "a file without a suffix": (write(TEXT, b"README"), ["kept"]),
    "only a suffix twice": (write(TEXT, b"x.txt.txt"), ["kept"]),
    "an unknown suffix": (write(TEXT, b"x.qqq"), ["unsupported format .qqq"]),
    "no suffix but a dot": (write(TEXT, b"x."), ["kept"]),
    "a name with a newline": (write(TEXT, b"x\n.txt"), ["kept"]),
    "a name with an escape sequence": (write(TEXT, b"\x1b[31mx.txt"), ["kept"]),
    "a name in Latin-1": (write(TEXT, b"\xe9.txt"), ["kept"]),
    "a name in UTF-16": (write(TEXT, "\u4f60\u597d.txt".encode("utf-16-le").replace(b"\0", b"")), ["kept"]),
    "a name that ends in half a character": (write(TEXT, b"x.txt\xe4"), None),
    "a name of 255 bytes": (write(TEXT, b"x" * 251 + b".txt"), ["kept"]),
    "a name with a backslash": (write(TEXT, b"a\\b.txt"), ["kept"]),
    "a name with a right-to-left override": (write(TEXT, "x\u202etxt.exe.txt".encode()), ["kept"]),
    "a name that is an option": (write(TEXT, b"-rf.txt"), ["kept"]),
    "a name of blanks": (write(TEXT, b"  .txt"), ["kept"]),
    "a name with a hash": (write(TEXT, b"a#b.txt"), ["kept"]),
    "a PDF that is a text": (write(TEXT, b"x.pdf"), ["broken PDF"]),
    "a text that is a gzip": (write(b"\x1f\x8b\x08\0" + bytes(50)), ["binary data"]),
    "600 folders in one another": (deep, None),
}


def outcomes(tmp_path: Path, make: Make, meanwhile: Make = lambda raw: None) -> list[str]:
    """In order of names: why an entry was not kept, or `kept`."""
    raw = tmp_path / "raw"
    raw.mkdir()
    (raw / "zz.txt").write_bytes(b"Always there, so that the folder is never taken for one without files.\n")
    make(raw)
    source = {"kind": "folder", "path": str(raw)}
    values = {"sources": [source], "max_file_bytes": LIMIT, "min_characters": 9}
    config = IngestConfig.parse(values, "test")
    partitions = list(open_source(config.sources[0], max_file_bytes=LIMIT).partitions())
    meanwhile(raw)
    with Corpus(config, tmp_path / "corpus") as corpus:
        accounts = add_all(corpus, *partitions)
    names = [account.source for account in accounts]
    assert len(set(names)) == len(names)
    assert all(name.encode().decode() == name and name.startswith("raw/") for name in names)
    *found, last = [account.reason or account.outcome.value for account in accounts]
    assert last == "kept"
    return found


@pytest.mark.parametrize("hazard", STILL)
def test_every_entry_has_one_account(hazard: str, tmp_path: Path) -> None:
    make, expected = STILL[hazard]
    found = outcomes(tmp_path, make)
    if expected is None:  # what becomes of it depends on the system; it is one entry, or none
        assert len(found) <= 1
    else:
        assert [reason.partition(" (")[0] for reason in found] == expected


def replace(make: Make) -> Make:
    def change(raw: Path) -> None:
        (raw / "x.txt").unlink()
        make(raw)

    return change


def append(content: bytes) -> Make:
    def change(raw: Path) -> None:
        with (raw / "x.txt").open("ab") as stream:
            stream.write(content)

    return change


WHILE_READ: dict[str, tuple[Make, str]] = {
    "vanished": (lambda raw: (raw / "x.txt").unlink(), "unreadable: No such file or directory"),
    "became a link": (replace(link("/etc/passwd")), "unreadable: "),
    "became a pipe": (replace(partial(lambda raw: os.mkfifo(raw / "x.txt"))), "empty"),
    "became a folder": (replace(folder("x.txt")), "unreadable: Is a directory"),
    "became a device": (replace(device), LARGE),
    "emptied": (replace(write(b"")), "empty"),
    "shrank": (replace(write(TEXT[:70])), "kept"),
    "grew a little": (append(TEXT), "kept"),
    "grew beyond the limit": (append(b"x" * LIMIT), LARGE),
    "replaced": (replace(write(TEXT + TEXT)), "kept"),
}


@pytest.mark.parametrize("hazard", WHILE_READ)
def test_what_changes_after_it_was_listed_has_one_account(hazard: str, tmp_path: Path) -> None:
    change, expected = WHILE_READ[hazard]
    (found,) = outcomes(tmp_path, write(TEXT), change)
    assert found.startswith(expected)


def test_a_folder_of_very_many_entries(tmp_path: Path) -> None:
    def make(raw: Path) -> None:
        for n in range(3000):
            os.close(os.open(raw / f"{n}.txt", os.O_CREAT | os.O_WRONLY))

    assert outcomes(tmp_path, make) == ["empty"] * 3000
