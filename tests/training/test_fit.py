"""Which run a start goes on with: the one that would have given the same bits, and no other."""

import shutil
from types import SimpleNamespace

import pytest

from bhasa.errors import UserError
from bhasa.hardware import HardwareProfile, machine
from bhasa.model.config import ModelConfig
from bhasa.model.language_model import build
from bhasa.training import fit as fit_module
from bhasa.training.fit import fit
from bhasa.training.loop import Run

HARDWARE = HardwareProfile(device="cpu", precision="fp32", micro_batch=2)


@pytest.fixture
def start(workspace, batches, config, monkeypatch):
    """Start a run that ends without success at `stop`; returns the steps that it did."""

    record = Run.record

    def run(*, stop, **facts):
        steps = []

        def observe(run, step, **values):
            record(run, step, **values)
            if "loss" in values:
                steps.append(step)
                if step == stop:
                    raise KeyboardInterrupt

        monkeypatch.setattr(Run, "record", observe)
        model = build(ModelConfig(d_model=16, n_layer=2, vocab_size=40, d_state=4), seed=0)
        arguments = {"train_batches": batches, "validation_batches": batches, "facts": facts}
        with (
            pytest.raises(KeyboardInterrupt),
            fit("run", model, config, steps=9, seed=1, hardware=HARDWARE, **arguments),
        ):
            pass
        return steps

    return run


def test_the_same_start_goes_on_from_the_checkpoint(start):
    assert start(stop=3) == [1, 2, 3]
    assert start(stop=5) == [3, 4, 5]


def test_other_data_start_anew(start):
    start(stop=3, tokens="abc")
    assert start(stop=2, tokens="abd") == [1, 2]


@pytest.mark.parametrize("change", [{"torch": "9.9"}, {"threads": 999}, {"instruction_set": "other"}])
def test_a_machine_that_rounds_differently_starts_anew(start, monkeypatch, change):
    start(stop=3)
    monkeypatch.setattr(fit_module, "machine", lambda: machine() | change)
    assert start(stop=2) == [1, 2]


def test_no_room_for_the_checkpoints_is_said_before_the_first_step(start, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=1))
    with pytest.raises(UserError, match=r"checkpoints needs .* make room and run again"):
        start(stop=1)
