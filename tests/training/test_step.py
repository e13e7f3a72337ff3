import itertools
import math
import subprocess
import sys

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from bhasa.errors import BhasaError
from bhasa.hardware import HardwareProfile
from bhasa.tokens.loader import IGNORED, Batch
from bhasa.training.optimizer import Optimizer
from bhasa.training.step import mean_loss


def step(stepper, batches, number=0, rate=1e-2):
    return stepper.train_step(batches, number, sequences=7, rate=rate)


def weights(stepper):
    return torch.cat([p.detach().flatten() for p in stepper.model.parameters()])


def test_the_loss_is_the_mean_over_the_targets_of_the_whole_step(make_stepper, batches):
    stepper = make_stepper(micro_batch=2)
    inputs, targets, segments = (torch.from_numpy(part) for part in batches.batch(0, 7))
    with torch.no_grad():
        logits, _ = stepper.model(inputs, segment_ids=segments)
    log_p = logits.double().log_softmax(-1)
    counted = targets != IGNORED
    expected = -log_p[counted, targets[counted]].mean()
    result = step(stepper, batches)
    assert result.loss == pytest.approx(float(expected), rel=1e-6)
    assert result.tokens == 7 * 16


@pytest.mark.parametrize("checkpointing", [False, True])
@pytest.mark.parametrize("micro_batch", [1, 2, 3, 5, 100])
def test_the_split_into_micro_batches_does_not_matter(make_stepper, batches, micro_batch, checkpointing):
    whole, split = (
        make_stepper(micro_batch=7),
        make_stepper(micro_batch=micro_batch, checkpointing=checkpointing),
    )
    for number in range(3):
        expected, found = step(whole, batches, number), step(split, batches, number)
        assert found.loss == pytest.approx(expected.loss, rel=1e-5)
        assert found.grad_norm == pytest.approx(expected.grad_norm, rel=1e-4)
    # AdamW divides by the gradient's size, so where that is rounding, so is the difference of the weights
    assert (weights(whole) - weights(split)).abs().max() < 2e-3


class Descent:
    """An optimiser that goes down the gradient as it is, so that its size shows in the weights."""

    def __init__(self, model):
        self.params = dict(model.named_parameters())
        self.state = {}

    @torch.no_grad()
    def step(self, rate):
        for parameter in self.params.values():
            parameter -= rate * parameter.grad


@pytest.mark.parametrize("micro_batch", [2, 7])
@pytest.mark.parametrize("share", [0.25, 4.0])
def test_one_step_goes_down_the_gradient_of_the_mean_clipped_as_a_whole(
    make_stepper, batches, micro_batch, share
):
    stepper, by_hand = make_stepper(micro_batch=micro_batch), make_stepper()
    inputs, targets, segments = (torch.from_numpy(part) for part in batches.batch(0, 7))
    logits, _ = by_hand.model(inputs, segment_ids=segments)
    F.cross_entropy(logits.flatten(0, 1), targets.flatten(), ignore_index=IGNORED).backward()
    gradient = torch.cat([p.grad.flatten() for p in by_hand.model.parameters()])
    norm = float(gradient.norm())
    stepper.clip_norm = share * norm
    stepper.optimizer = Optimizer([Descent(stepper.model)])
    before = weights(stepper)
    assert step(stepper, batches, rate=1.0).grad_norm == pytest.approx(norm, rel=1e-4)
    expected = before - min(1.0, share) * gradient
    torch.testing.assert_close(weights(stepper), expected, rtol=1e-3, atol=1e-6)


def test_the_config_s_clip_norm_is_the_stepper_s(make_stepper, config):
    assert make_stepper().clip_norm == config.clip_norm


def test_dropout_is_drawn_by_step_and_not_by_history(make_stepper, batches):
    first, second = make_stepper(dropout=0.3), make_stepper(dropout=0.3)
    torch.manual_seed(99)
    torch.rand(10)
    assert step(first, batches, 4) == step(second, batches, 4)
    assert torch.equal(weights(first), weights(second))


def test_dropout_is_another_in_every_step_and_micro_step(make_stepper, batches):
    stepper, dropped = make_stepper(dropout=0.3, micro_batch=7), []
    stepper.model.backbone.layers[0].dropout.register_forward_hook(
        lambda module, inputs, output: dropped.append((output == 0).detach())
    )
    for number in range(2):
        stepper.train_step(batches, number, sequences=14, rate=1e-2)
    assert len(dropped) == 4
    assert all(not torch.equal(a, b) for a, b in itertools.combinations(dropped, 2))
    assert all(float(mask.float().mean()) == pytest.approx(0.3, abs=0.05) for mask in dropped)


class Broken:
    """The same batches, after which one weight or one gradient is NaN."""

    def __init__(self, batches, stepper, kind):
        self.batches, self.kind = batches, kind
        parameter = stepper.model.backbone.layers[1].mixer.in_proj.weight
        if kind == "weight":
            with torch.no_grad():
                parameter[0, 0] = math.nan
        else:
            parameter.register_hook(lambda gradient: gradient.index_fill(0, torch.tensor([3]), float(kind)))

    def batch(self, *arguments):
        return self.batches.batch(*arguments)


@pytest.mark.parametrize("kind", ["weight", "nan", "inf"])
def test_nan_and_infinity_never_update(make_stepper, batches, snapshot, kind):
    stepper = make_stepper()
    step(stepper, batches)
    broken = Broken(batches, stepper, kind)
    before = snapshot(stepper)
    with pytest.raises(BhasaError, match=r"step 1: loss .* not finite, so the weights were left"):
        step(stepper, broken, 1)
    after = snapshot(stepper)
    assert before.keys() == after.keys()
    assert all(torch.equal(before[k], after[k]) or before[k].isnan().any() for k in before)
    assert sum(int(v.isnan().any()) for v in after.values()) == (kind == "weight")


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_half_precision_learns_like_full(make_stepper, batches, precision):
    half, full = make_stepper(precision=precision), make_stepper()
    assert half.scaler.is_enabled() == (precision == "fp16")
    losses = [(step(half, batches, n).loss, step(full, batches, n).loss) for n in range(15)]
    assert all(math.isfinite(loss) for loss, _ in losses)
    assert losses[-1][0] == pytest.approx(losses[-1][1], rel=0.1)
    assert losses[-1][1] < losses[0][1] - 0.05
    assert {p.dtype for p in half.model.parameters()} == {torch.float32}


def test_fp16_skips_a_step_whose_gradient_overflows_and_backs_off(make_stepper, batches, snapshot):
    stepper = make_stepper(precision="fp16")
    stepper.scaler = torch.amp.GradScaler("cpu", init_scale=2.0**40)
    before = snapshot(stepper)
    assert not math.isfinite(step(stepper, batches).grad_norm)
    after = snapshot(stepper)
    assert all(torch.equal(before[k], after[k]) for k in before if k.startswith("weight"))
    assert stepper.scaler.get_scale() == 2.0**39


def test_fp16_gives_up_when_no_loss_scale_makes_the_gradient_finite(make_stepper, batches, snapshot):
    stepper = make_stepper(precision="fp16")
    stepper.scaler = torch.amp.GradScaler("cpu", init_scale=2.0)
    broken = Broken(batches, stepper, "nan")
    before = snapshot(stepper)
    step(stepper, broken, 0)  # the scale falls to 1, which may be enough
    with pytest.raises(
        BhasaError, match=r"step 1: .* weights were left .* lower the learning rate.* bf16 or fp32"
    ) as raised:
        step(stepper, broken, 1)
    assert raised.value.exit_code == 1
    after = snapshot(stepper)
    assert all(torch.equal(before[k], after[k]) for k in before if k.startswith("weight"))


@pytest.mark.parametrize("micro_batch", [1, 2, 5, 8])
def test_validation_is_the_mean_per_target_for_any_micro_batch(make_stepper, batches, micro_batch):
    model = make_stepper(dropout=0.5).model.train()
    inputs, targets, segments = (torch.from_numpy(part) for part in batches.batch(0, 5))
    hardware = HardwareProfile(device="cpu", precision="fp32", micro_batch=micro_batch)
    found = mean_loss(model, batches, 5, hardware)
    with torch.no_grad():  # mean_loss has put the model into evaluation mode: no dropout
        logits, _ = model(inputs, segment_ids=segments)
    expected = F.cross_entropy(logits.flatten(0, 1), targets.flatten(), ignore_index=IGNORED)
    assert found == pytest.approx(float(expected), rel=1e-6)


@pytest.mark.parametrize("micro_batch", [2, 3, 100])
def test_a_split_smaller_than_asked_for_is_counted_once(make_stepper, batches, micro_batch):
    class Few:  # begins again after three rows, as the loaders do
        rows_per_epoch = 3

        def batch(self, step, batch_size, rows):
            parts = [batches.batch(0, 3, slice(i % 3, i % 3 + 1)) for i in range(batch_size)[rows]]
            return Batch(*(np.concatenate(arrays) for arrays in zip(*parts, strict=True)))

    model = make_stepper().model
    hardware = HardwareProfile(device="cpu", precision="fp32", micro_batch=micro_batch)
    once = mean_loss(model, batches, 3, hardware)
    assert mean_loss(model, Few(), 7, hardware) == pytest.approx(once, rel=1e-6)
    assert mean_loss(model, Few(), 2, hardware) == mean_loss(model, batches, 2, hardware)


def test_ignored_targets_have_no_gradient(make_stepper, batches):
    class Rewritten:
        def batch(self, *arguments):
            part = batches.batch(*arguments)
            last = np.where(part.targets[:, -1:] == IGNORED, part.targets[:, -1:], IGNORED)
            return part._replace(targets=np.concatenate([part.targets[:, :-1], last], axis=1))

    whole = Rewritten()
    stepper, other = make_stepper(), make_stepper()
    step(stepper, whole)

    class Shortened:  # without the last position, of which only the ignored target is missed
        def batch(self, *arguments):
            part = whole.batch(*arguments)
            return part._replace(**{name: value[:, :-1] for name, value in part._asdict().items()})

    step(other, Shortened())
    assert (weights(stepper) - weights(other)).abs().max() < 1e-3


COMPILER = """
import sys, torch
from bhasa.hardware import HardwareProfile
from bhasa.measure.workloads import SameBatch
from bhasa.model.config import ModelConfig
from bhasa.model.language_model import build, outline
from bhasa.training.config import TrainingConfig
from bhasa.training.step import Stepper

config = TrainingConfig(context_length=8, tokens_per_step=16, learning_rate=0.1, optimizer="muon")
model = build(ModelConfig(d_model=8, n_layer=1, vocab_size=8), seed=0)
outline(model.config)
hardware = HardwareProfile(device="cpu", precision="fp32", micro_batch=2)
stepper = Stepper(model, config, hardware, seed=0)
stepper.train_step(SameBatch(2, 8, 8), 0, sequences=2, rate=0.1)
sys.exit("torch._dynamo" in sys.modules)
"""


def test_neither_a_step_nor_an_outline_imports_torch_s_compiler():
    """That takes longer than torch's own import, at the start of every stage."""
    assert subprocess.run([sys.executable, "-c", COMPILER], check=False).returncode == 0
