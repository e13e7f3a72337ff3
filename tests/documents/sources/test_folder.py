import os
import socket
from pathlib import Path

import pytest

from bhasa.documents.records import Refused
from bhasa.documents.source_configs import FolderConfig
from bhasa.documents.sources.files import InputFile
from bhasa.documents.sources.folder import open_folder
from bhasa.errors import UserError


def files_of(folder: Path, limit: int = 1000) -> dict[str, InputFile]:
    listed = open_folder(FolderConfig(kind="folder", path=str(folder)), max_file_bytes=limit).files
    assert [file.name for file in listed] == sorted(file.name for file in listed)
    return {file.name: file for file in listed}


def fate(file: InputFile) -> str:
    """`read`, or why not."""
    try:
        if file.refusal:
            raise file.refusal
        file.read()
    except Refused as refused:
        return f"{refused.outcome}: {refused.reason}"
    return "read"


def test_every_entry_is_listed_once_with_its_fate(tmp_path: Path) -> None:
    raw = tmp_path / "raw"
    (raw / "deep" / "er").mkdir(parents=True)
    (raw / "deep" / "er" / "a.txt").write_text("text")
    (raw / "empty.txt").touch()
    (raw / "large.txt").write_bytes(b"x" * 1001)
    (raw / "exact.txt").write_bytes(b"x" * 1000)
    (raw / ".hidden").write_text("secret")
    (raw / ".git").mkdir()
    (raw / ".git" / "config").write_text("x")
    (raw / "link.txt").symlink_to(raw / "exact.txt")
    (raw / "loop").symlink_to(raw)
    (raw / "gone").symlink_to("nowhere")
    os.mkfifo(raw / "pipe.txt")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(raw / "socket"))
        fates = {name: fate(file) for name, file in files_of(raw).items()}
    assert fates == {
        "raw/.git": "skipped: hidden",
        "raw/.hidden": "skipped: hidden",
        "raw/deep/er/a.txt": "read",
        "raw/empty.txt": "skipped: empty",
        "raw/exact.txt": "read",
        "raw/gone": "skipped: a link, which is not followed",
        "raw/large.txt": "skipped: larger than max_file_bytes",
        "raw/link.txt": "skipped: a link, which is not followed",
        "raw/loop": "skipped: a link, which is not followed",
        "raw/pipe.txt": "skipped: not a file but a pipe, socket or device",
        "raw/socket": "skipped: not a file but a pipe, socket or device",
    }


def test_a_file_that_changes_after_listing_is_refused_not_followed(tmp_path: Path) -> None:
    for name in ("gone", "link", "pipe"):
        (tmp_path / name).write_text("x")
    files = files_of(tmp_path)
    for name in ("gone", "link", "pipe"):
        (tmp_path / name).unlink()
    (tmp_path / "link").symlink_to("/etc/hostname")
    os.mkfifo(tmp_path / "pipe")
    fates = {Path(name).name: fate(file) for name, file in files.items()}
    assert fates["gone"] == "quarantined: unreadable: No such file or directory"
    assert fates["link"].startswith("quarantined: unreadable: ")
    assert fates["pipe"] == "skipped: empty"


def test_names_are_valid_text_and_start_with_the_folder(tmp_path: Path) -> None:
    for name in (b"new\nline.txt", b"latin-\xe9.txt", b"n" * 251 + b".txt"):
        Path(os.fsdecode(os.path.join(os.fsencode(tmp_path), name))).write_text("x")  # noqa: PTH118
    names = list(files_of(tmp_path))
    assert f"{tmp_path.name}/latin-\\xe9.txt" in names
    assert all(name.encode() and name.startswith(f"{tmp_path.name}/") for name in names)


def test_two_names_stay_two(tmp_path: Path) -> None:
    for name in (b"\xe9.txt", b"\\xe9.txt", b"\\\\xe9.txt", b"a\\b.txt", "\u00e9.txt".encode()):
        Path(os.fsdecode(os.path.join(os.fsencode(tmp_path), name))).write_text("x")  # noqa: PTH118
    assert {Path(name).name for name in files_of(tmp_path)} == {
        "\\xe9.txt",
        "\\\\xe9.txt",
        "\\\\\\\\xe9.txt",
        "a\\\\b.txt",
        "\u00e9.txt",
    }


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_what_may_not_be_read_is_quarantined(tmp_path: Path) -> None:
    (tmp_path / "ok.txt").write_text("x")
    (tmp_path / "locked.txt").write_text("x")
    (tmp_path / "locked.txt").chmod(0)
    (tmp_path / "folder").mkdir(mode=0)
    fates = {Path(name).name: fate(file) for name, file in files_of(tmp_path).items()}
    assert fates["locked.txt"] == "quarantined: unreadable: Permission denied"
    assert fates["folder"] == "quarantined: unreadable folder: Permission denied"


def test_a_missing_folder_is_the_users_error(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="nowhere: no such folder; make it"):
        files_of(tmp_path / "nowhere")


def test_an_empty_folder_is_the_users_error(tmp_path: Path) -> None:
    (tmp_path / ".gitkeep").touch()
    with pytest.raises(UserError, match="no files there; add yours, or take the folder out"):
        files_of(tmp_path)
