from pathlib import Path

import pytest

from bhasa.documents.source_configs import FileConfig
from bhasa.documents.sources.file import open_file
from bhasa.documents.sources.files import InputFile
from bhasa.errors import UserError


def only_file(path: Path, name: str | None = None) -> InputFile:
    (file,) = open_file(FileConfig(kind="file", path=str(path), name=name), max_file_bytes=1000).files
    return file


def test_a_file_alone_is_a_source(tmp_path: Path) -> None:
    (tmp_path / "a book.txt").write_text("text")
    file = only_file(tmp_path / "a book.txt")
    assert (file.name, file.size, file.read()) == ("a book/a book.txt", 4, b"text")
    assert only_file(tmp_path / "a book.txt", "novels").name == "novels/a book.txt"


def test_a_link_that_is_named_is_followed(tmp_path: Path) -> None:
    (tmp_path / "far.txt").write_text("text")
    (tmp_path / "near.txt").symlink_to("far.txt")
    assert only_file(tmp_path / "near.txt").read() == b"text"


def test_what_is_no_file_is_the_users_error(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="a folder; `kind: folder` reads it"):
        only_file(tmp_path)
    with pytest.raises(UserError, match="no such file; add it"):
        only_file(tmp_path / "nowhere.txt")
