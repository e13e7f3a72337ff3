"""Runs that are killed, in processes of their own, end with the bits of one that was not."""

import runpy
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch

import bhasa

PACKAGE = str(Path(bhasa.__file__).parents[1])  # the one under test, not another that is installed
PROGRAM = Path(__file__).with_name("one_run.py")
FILES = ["model.safetensors", "curves/train.csv", "curves/validation.csv", "curves/loss.png"]

CHAINS = {
    "killed before the first checkpoint, after it, and while the model is published": [
        ("SIGKILL", 2, -signal.SIGKILL),
        ("SIGKILL", 7, -signal.SIGKILL),
        ("rename", 13, -signal.SIGKILL),
    ],
    "stopped by SIGTERM, then killed while a checkpoint is published": [
        ("SIGTERM", 3, 128 + signal.SIGTERM),
        ("rename", 3, -signal.SIGKILL),
    ],
}


def start(folder, *fault):
    return subprocess.run(
        [sys.executable, PROGRAM, folder / "out", *map(str, fault)],
        cwd=folder,
        env={"PATH": "", "HOME": str(folder), "PYTHONPATH": PACKAGE},
        capture_output=True,
        text=True,
    )


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory):
    folder = tmp_path_factory.mktemp("unbroken")
    threads = torch.get_num_threads()
    runpy.run_path(str(PROGRAM))["run"](folder / "out")
    torch.set_num_threads(threads)
    return {name: (folder / "out" / name).read_bytes() for name in FILES}


@pytest.mark.slow
@pytest.mark.parametrize("chain", CHAINS.values(), ids=CHAINS)
def test_whatever_happens_on_the_way_the_result_is_the_same_to_the_byte(tmp_path, unbroken, chain):
    for fault, number, code in chain:
        died = start(tmp_path, fault, number)
        assert died.returncode == code, died.stderr
        assert not (tmp_path / "out" / "model.safetensors").exists()
        if fault == "SIGTERM":
            assert f"step {number} of 14 is saved; the same command goes on from there" in died.stderr
    finished = start(tmp_path)
    assert finished.returncode == 0, finished.stderr
    assert {name: (tmp_path / "out" / name).read_bytes() for name in FILES} == unbroken
    assert not list((tmp_path / "runs").iterdir())
