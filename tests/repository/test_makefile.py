"""What `make` says before it installs anything."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture
def unpacked(tmp_path: Path) -> Path:
    """The folder of a tarball: no repository."""
    shutil.copyfile(ROOT / "Makefile", tmp_path / "Makefile")
    (tmp_path / ".dvc").mkdir()
    shutil.copyfile(ROOT / ".dvc/config", tmp_path / ".dvc/config")
    return tmp_path


def make(target: str, folder: Path) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"GIT_CEILING_DIRECTORIES": str(folder.parent), "LC_ALL": "C"}
    command = ["make", target]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


def advice(folder: Path, first_word: str) -> str:
    lines = make("repro", folder).stderr.splitlines()
    return next(line for line in lines if line.startswith(f"  {first_word}"))


def test_a_folder_without_git_is_refused_before_anything_is_installed(unpacked: Path) -> None:
    refused = make("repro", unpacked)
    assert refused.returncode == 2
    assert "error: DVC works in a Git repository" in refused.stderr
    assert not (unpacked / ".venv").exists()


@pytest.mark.parametrize("first_word", ["git", "echo"])
def test_both_ways_on_that_it_names_work(unpacked: Path, first_word: str) -> None:
    names = {f"GIT_{who}_{what}": "a" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    subprocess.run(
        advice(unpacked, first_word), shell=True, cwd=unpacked, env=os.environ | names, check=True, stdout=-1
    )
    assert make("repository", unpacked).returncode == 0
    dvc = subprocess.run(["dvc", "status"], cwd=unpacked, capture_output=True, text=True, check=False)
    assert "is not a git repository" not in dvc.stderr
    assert dvc.returncode == 0


def test_setup_names_an_interpreter_that_is_too_old(unpacked: Path) -> None:
    for name in ("requirements.lock", "pyproject.toml", "setup.py"):
        (unpacked / name).touch()
    old = unpacked / "python"
    old.write_text("#!/bin/sh\nexit 1\n")
    old.chmod(0o755)
    refused = subprocess.run(
        ["make", "setup", f"PYTHON={old}"], cwd=unpacked, capture_output=True, text=True, check=False
    )
    assert "is too old; bhasa needs 3.11 or later" in refused.stderr
