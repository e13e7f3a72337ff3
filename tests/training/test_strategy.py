"""The seam for several processes: two of them, under a strategy made here, train as one does."""

import runpy
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from bhasa.training.strategy import SingleProcess

PROGRAM = Path(__file__).with_name("two_processes.py")


@pytest.mark.slow
def test_two_processes_train_as_one(tmp_path):
    started = [
        subprocess.Popen([sys.executable, PROGRAM, str(rank), "2", tmp_path], stderr=subprocess.PIPE)
        for rank in range(2)
    ]
    for process in started:
        _, errors = process.communicate(timeout=300)
        assert process.returncode == 0, errors.decode()
    first, second = (load_file(tmp_path / f"{rank}.safetensors") for rank in range(2))
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert not list((tmp_path / "runs").iterdir())
    threads, program = torch.get_num_threads(), runpy.run_path(str(PROGRAM))
    alone = program["steps"](SingleProcess(), micro_batch=7)
    alone |= program["whole_run"](SingleProcess(), tmp_path, micro_batch=7)
    torch.set_num_threads(threads)
    torch.testing.assert_close(first["figures"], alone["figures"], rtol=1e-5, atol=0)
    for name in alone:
        torch.testing.assert_close(first[name], alone[name], rtol=0, atol=1e-4)


def test_one_process_has_every_row_and_is_asked_alone():
    alone, values = SingleProcess(), torch.tensor([1.0, 2.0])
    assert range(5)[alone.rows(5)] == range(5)
    assert alone.sum(values) is values
    assert alone.agree(15) == 15
    model = torch.nn.Linear(2, 2)
    assert alone.wrap(model) is model
    assert alone.gather({"a": values}) == {"a": values}
