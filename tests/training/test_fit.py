"""Which run a start goes on with: the one that would have given the same bits, and no other."""

import shutil
from contextlib import nullcontext
from types import SimpleNamespace

import numpy as np
import pytest

from bhasa.errors import BhasaError, UserError
from bhasa.hardware import HardwareProfile, machine
from bhasa.model.config import ModelConfig
from bhasa.model.language_model import build
from bhasa.tokens.loader import Batch
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


def events(validation, training):
    """A journal of these losses: the first and last validation, and steps that have one each."""
    steps = [{"step": number, "loss": loss} for number, loss in enumerate(training, 1)]
    first, last = validation
    return [{"step": 0, "validation_loss": first}, *steps, {"step": 20, "validation_loss": last}]


@pytest.mark.parametrize(
    ("validation", "training", "learnt", "said"),
    [  # of a vocabulary of 40, whose logarithm is 3.689
        ((3.70, 3.69), [9.0] * 20, True, False),
        ((3.70, 3.71), [3.6] * 20, False, False),  # no better than guessing
        ((3.70, float("nan")), [3.6] * 20, False, False),
        ((2.0, 3.0), [1.9] * 10 + [2.9] * 10, False, False),  # worse
        ((2.0, 3.0), [2.2] * 10 + [0.5] * 10, True, True),  # overfitted
        ((2.0, 2.01), [2.2] * 20, True, True),
        ((3.70, 3.71), [3.6] * 9, True, False),  # a trial
    ],
)
def test_a_run_that_ends_no_better_than_it_began_is_no_success(
    make_plan, capsys, monkeypatch, tmp_path, validation, training, learnt, said
):
    monkeypatch.setattr(fit_module, "train", lambda *arguments: events(validation, training))
    ended = nullcontext() if learnt else pytest.raises(BhasaError, match=r"nothing was learnt; lower")
    written = []
    with ended, fit(build(ARCHITECTURE, seed=0), make_plan(20), HARDWARE, folder=tmp_path / "runs"):
        written.append("model")
    assert written == ["model"] * learnt
    assert ("got no better" in capsys.readouterr().err) == said
    assert bool(list(tmp_path.glob("runs/*.lock"))) != learnt  # its state stays: the error comes back at once


class Noise:
    """Rows of which nothing can be learnt."""

    rows_per_epoch = 1000

    def batch(self, step, batch_size, rows):
        drawn = [np.random.default_rng([step, row]).integers(0, 40, 17) for row in range(batch_size)[rows]]
        tokens = np.stack(drawn)
        return Batch(tokens[:, :-1], tokens[:, 1:], np.zeros_like(tokens[:, 1:]))


def test_a_rate_at_which_training_diverges_ends_in_an_error(make_plan, config, tmp_path):
    plan = make_plan(
        20, train=Noise(), validation=Noise(), config=config.model_copy(update={"learning_rate": 1.0})
    )
    said = r"run: the validation loss was .* before .*nothing was learnt; lower"
    model = build(ARCHITECTURE, seed=0)
    with pytest.raises(BhasaError, match=said), fit(model, plan, HARDWARE, folder=tmp_path / "runs"):
        pytest.fail("the block that writes the model was entered")
