import itertools
import subprocess
import time
from pathlib import Path

import pytest

from bhasa.documents.config import IngestConfig
from bhasa.documents.source_configs import FolderConfig
from bhasa.documents.sources.folder import open_folder
from bhasa.errors import UserError


def write(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(name)


def fates(folder: Path, **settings: object) -> dict[str, str]:
    """Why each entry that is listed is not read; empty for those that are."""
    values = {"kind": "folder", "path": str(folder), "name": "raw", **settings}
    (config,) = IngestConfig.parse({"sources": [values]}, "test").sources
    assert isinstance(config, FolderConfig)
    files = open_folder(config, max_file_bytes=1000).files
    return {file.name.removeprefix("raw/"): str(file.refusal or "") for file in files}


def taken(folder: Path, **settings: object) -> list[str]:
    return [name for name, why in fates(folder, **settings).items() if not why]


def test_what_a_pattern_leaves_out_is_listed_and_a_folder_once(tmp_path: Path) -> None:
    write(tmp_path, "a.md", "a.txt", "docs/b.md", "docs/old/c.md", "docs/old/deep/d.md", "vendor/e.md")
    assert fates(tmp_path, include=["*.md"], exclude=["old/", "/vendor"]) == {
        "a.md": "",
        "a.txt": "not included by a pattern",
        "docs/b.md": "",
        "docs/old/": "excluded by a pattern",
        "vendor/": "excluded by a pattern",
    }


def test_the_size_of_a_file_left_out_is_known(tmp_path: Path) -> None:
    write(tmp_path, "a.md", "long-name.txt")
    config = FolderConfig(kind="folder", path=str(tmp_path), exclude=("*.txt",))
    assert [file.size for file in open_folder(config, max_file_bytes=1000).files] == [4, 13]


def test_a_later_pattern_takes_back_what_an_earlier_one_said(tmp_path: Path) -> None:
    write(tmp_path, "a.log", "keep.log", "x/b.log")
    assert taken(tmp_path, exclude=["*.log", "!keep.log"]) == ["keep.log"]
    assert taken(tmp_path, include=["/x/", "a.*"]) == ["a.log", "x/b.log"]


RULES = [
    "*.log",
    "!b.log",
    "/a",
    "x/",
    "x/*",
    "!x/a",
    "**/y",
    "x/**",
    "y/**/b.log",
    "a*",
    "?.log",
    "[ab].log",
    "#a",
]


def test_gitignore_files_mean_what_git_says_they_mean(tmp_path: Path) -> None:
    """Every pair of rules, one above and one in a folder below."""
    names = ["a", "b.log", "x/a", "x/b.log", "x/y/a", "x/y/b.log", "y/x/b.log", "y/ab"]
    for number, (outer, inner) in enumerate(itertools.product(RULES, RULES)):
        folder = tmp_path / str(number)
        write(folder, "z", *names)
        (folder / ".gitignore").write_text(f"{outer}\n")
        (folder / "x" / ".gitignore").write_text(f"{inner}\n")
    subprocess.run(["git", "init", "-q", tmp_path], check=True)
    listing = ["git", "-C", str(tmp_path), "ls-files", "-o", "--exclude-standard"]
    listed = subprocess.run(listing, check=True, capture_output=True, text=True).stdout.split()
    ours = [
        f"{n}/{name}" for n in range(len(RULES) ** 2) for name in taken(tmp_path / str(n), gitignore=True)
    ]
    assert sorted(ours) == sorted(name for name in listed if not name.endswith(".gitignore"))


def test_gitignore_files_count_only_where_asked(tmp_path: Path) -> None:
    write(tmp_path, "a.txt", "b.txt", "x/c.txt")
    (tmp_path / ".gitignore").write_text("b.txt\nx\n")
    assert taken(tmp_path) == ["a.txt", "b.txt", "x/c.txt"]
    assert fates(tmp_path, gitignore=True) == {
        ".gitignore": "hidden",
        "a.txt": "",
        "b.txt": "excluded by .gitignore",
        "x/": "excluded by .gitignore",
    }


def test_a_hostile_gitignore_takes_no_time_and_is_not_followed(tmp_path: Path) -> None:
    write(tmp_path, "a" * 200, "x/a.txt", "x/b.txt")
    slow = ["*a" * 12 + "*b", "**/a/" * 12 + "b", "?" * 100 + "*" * 9]
    (tmp_path / ".gitignore").write_bytes(b"\n".join([*map(str.encode, slow), b"!", b"\xff\\", b"b.txt"]))
    (tmp_path / "x" / ".gitignore").symlink_to("/etc/passwd")
    started = time.process_time()
    assert taken(tmp_path, gitignore=True) == ["a" * 200, "x/a.txt"]
    assert time.process_time() - started < 5  # and else for hours


@pytest.mark.parametrize("pattern", ["", "#", "/", "!", "a\\"])
def test_what_is_no_pattern_is_refused(pattern: str) -> None:
    values = {"sources": [{"kind": "folder", "path": "raw", "exclude": ["*.md", pattern]}]}
    with pytest.raises(UserError, match=r"sources\.0\.folder\.exclude\.1: found .*not a pattern"):
        IngestConfig.parse(values, "test")


def test_the_advice_for_an_empty_folder_names_its_patterns(tmp_path: Path) -> None:
    write(tmp_path, "a.txt")
    with pytest.raises(UserError, match="add yours, or change include and exclude, or"):
        taken(tmp_path, exclude=["*"])
