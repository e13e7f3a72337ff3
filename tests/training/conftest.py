import numpy as np
import pytest
import torch

from bhasa.hardware import HardwareProfile
from bhasa.model.config import ModelConfig
from bhasa.model.language_model import build
from bhasa.tokens.loader import IGNORED, Batch
from bhasa.training.config import TrainingConfig
from bhasa.training.plan import Plan
from bhasa.training.step import Stepper

VOCAB, LENGTH = 40, 16


class Counting:
    """Rows that count upwards in steps of their own, with a second document and an ignored target or two."""

    rows_per_epoch = 1000

    def batch(self, step, batch_size, rows=slice(None)):
        drawn = [self._row(step, row) for row in range(batch_size)[rows]]
        return Batch(*(np.stack(part) for part in zip(*drawn, strict=True)))

    def _row(self, step, row):
        draw = np.random.default_rng([step, row])
        tokens = (draw.integers(1, VOCAB) + draw.integers(1, 4) * np.arange(LENGTH + 1)) % VOCAB
        targets = tokens[1:].copy()
        targets[: int(draw.integers(0, 9))] = IGNORED
        return tokens[:-1], targets, (np.arange(LENGTH) >= draw.integers(1, LENGTH)).astype(np.int64)


@pytest.fixture
def batches():
    return Counting()


@pytest.fixture
def config():
    return TrainingConfig(
        context_length=LENGTH,
        tokens_per_step=4 * LENGTH,
        learning_rate=1e-2,
        validate_every=3,
        validation_sequences=5,
        checkpoint_every=2,
    )


@pytest.fixture
def make_stepper(config):
    """A stepper of a fresh small model, the same each time."""

    def make(*, micro_batch=2, precision="fp32", checkpointing=False, optimizer="adamw", **architecture):
        model = build(ModelConfig(d_model=16, n_layer=2, vocab_size=VOCAB, d_state=4, **architecture), seed=0)
        model.backbone.activation_checkpointing = checkpointing
        hardware = HardwareProfile(device="cpu", precision=precision, micro_batch=micro_batch)
        chosen = config.model_copy(update={"optimizer": optimizer})
        return Stepper(model, chosen, hardware, seed=1)

    return make


@pytest.fixture
def make_plan(config, batches):
    """A plan of so many steps on the counting rows."""
    values = {"config": config, "seed": 1, "train": batches, "validation": batches}
    return lambda steps, **changes: Plan("run", steps=steps, **values | changes)


@pytest.fixture
def snapshot():
    """All that a checkpoint must bring back: weights, moments and the loss scale, copied."""

    def copy(stepper):
        weights = {f"weight {n}": p.detach().clone() for n, p in stepper.model.named_parameters()}
        moments = {name: value.clone() for name, value in stepper.optimizer.state().items()}
        scaler = {f"scaler {k}": torch.tensor(v) for k, v in stepper.scaler.state_dict().items()}
        return weights | moments | scaler

    return copy
