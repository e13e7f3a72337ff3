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
from bhasa.training.run_folder import RunFolder

HARDWARE = HardwareProfile(device="cpu", precision="fp32", micro_batch=2)
ARCHITECTURE = ModelConfig(d_model=16, n_layer=2, vocab_size=40, d_state=4)


@pytest.fixture
def start(tmp_path, make_plan, monkeypatch):
    """Start a run that ends without success at `stop`; returns the steps that it did."""

    record = RunFolder.record

    def run(*, stop, steps=9, hardware=HARDWARE, architecture=ARCHITECTURE, **changes):
        done = []

        def observe(folder, step, **values):
            record(folder, step, **values)
            if "loss" in values:
                done.append(step)
                if step == stop:
                    raise KeyboardInterrupt

        monkeypatch.setattr(RunFolder, "record", observe)
        model, plan = build(architecture, seed=0), make_plan(steps, **changes)
        with pytest.raises(KeyboardInterrupt), fit(model, plan, hardware, folder=tmp_path / "runs"):
            pass
        return done

    return run


def test_the_same_start_goes_on_from_the_checkpoint(start):
    assert start(stop=3) == [1, 2, 3]
    assert start(stop=5) == [3, 4, 5]


@pytest.mark.parametrize(
    "change",
    [
        {"inputs": {"tokens": "abd"}},
        {"seed": 2},
        {"steps": 10},
        {"architecture": ARCHITECTURE.model_copy(update={"d_state": 8})},
    ],
    ids=lambda change: next(iter(change)),
)
def test_what_computes_something_else_starts_anew_and_beside(start, tmp_path, capsys, change):
    start(stop=3)
    assert start(stop=3, **change) == [1, 2, 3]
    assert start(stop=5) == [3, 4, 5]
    assert len(list((tmp_path / "runs").glob("*.lock"))) == 2
    assert "starts anew" not in capsys.readouterr().err


@pytest.mark.parametrize("change", [{"torch": "9.9"}, {"threads": 999}, {"instruction_set": "other"}])
def test_a_machine_that_rounds_differently_starts_anew_and_says_why(
    start, monkeypatch, tmp_path, capsys, change
):
    start(stop=3)
    assert "starts anew" not in capsys.readouterr().err
    ((key, value),) = change.items()
    with monkeypatch.context() as patch:
        patch.setattr(fit_module, "machine", lambda: machine() | change)
        assert start(stop=2) == [1, 2]
    said = [line for line in capsys.readouterr().err.splitlines() if "starts anew" in line]
    (line,) = said
    assert f"machine.{key} was {machine()[key]} and is {value}: that rounds otherwise" in line
    assert "now at step 2" in line
    assert len(list((tmp_path / "runs").glob("*.lock"))) == 1
    assert start(stop=5) == [3, 4, 5]  # as before: nothing was lost


def test_another_config_starts_anew_and_beside(start, config):
    start(stop=3)
    assert start(stop=2, config=config.model_copy(update={"beta2": 0.9})) == [1, 2]


def test_another_profile_starts_anew_and_says_why(start, capsys):
    start(stop=3)
    assert start(stop=1, hardware=HARDWARE.model_copy(update={"micro_batch": 4})) == [1]
    assert "run: hardware.micro_batch was 2 and is 4: that rounds" in capsys.readouterr().err


def test_no_room_for_the_checkpoints_is_said_before_the_first_step(start, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=1))
    with pytest.raises(UserError, match=r"checkpoints needs .* make room and run again"):
        start(stop=1)
