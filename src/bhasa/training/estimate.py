"""What a run will cost, said in one line before it starts: parameters, tokens, time, memory."""

import sys

import psutil
import torch

from bhasa.errors import UserError
from bhasa.journal import size
from bhasa.model.config import ModelConfig
from bhasa.model.mixers import MIXERS
from bhasa.ops.cross_entropy.blocks import LOGITS
from bhasa.training.plan import Plan
from bhasa.training.probe import measure
from bhasa.training.step import Stepper

_BASELINE_BYTES = 500e6  # the interpreter with torch and the tracker loaded


def announce(stepper: Stepper, plan: Plan, done: int) -> None:
    """Measure what a step costs and print the estimate for what is left after `done`, on standard error."""
    hardware, config = stepper.hardware, plan.config
    seconds, rows = measure(stepper, plan), min(hardware.micro_batch, config.sequences_per_step)
    left = (plan.steps - done) * seconds.step + plan.validations_left(done) * seconds.validation
    micro_steps = -(-config.sequences_per_step // hardware.micro_batch)
    trained = sum(p.numel() for p in stepper.model.parameters() if p.requires_grad)
    memory = _BASELINE_BYTES + training_bytes(
        stepper.model.config,
        parameters=stepper.model.num_parameters(),
        trained=trained,
        tokens=rows * config.context_length,
        checkpointing=hardware.activation_checkpointing,
    )
    print(
        f"{plan.name}: {stepper.model.num_parameters():,} parameters ({trained:,} trained), "
        f"{plan.steps:,} steps of {config.tokens_per_step:,} tokens "
        f"({plan.steps * config.tokens_per_step:,} in all, {micro_steps} x {rows} sequences a step)"
        + (f", of which {done:,} are done" if done else "")
        + f"; about {_duration(left)} and {size(memory)} of memory on {hardware.device}",
        file=sys.stderr,
        flush=True,
    )


def training_bytes(
    config: ModelConfig, *, parameters: int, trained: int, tokens: int, checkpointing: bool
) -> float:
    """Bytes that training holds at its peak, for `tokens` in one micro-batch; fp32, within a third or so.

    Weights and, where trained, gradient and two moments; the activations that backward needs with the fused
    operations, and about twice as many for the layer that is being differentiated; one block of logits.
    Where some rows of the vocabulary are trained alone, also the matrix with these rows, and its gradient.
    """
    layers = [_activations(config, mixer) for mixer in config.layers]
    kept = 2 * max(layers) + (max(layers) if checkpointing else sum(layers)) + config.n_layer * config.d_model
    logits = min(tokens * config.vocab_size, max(LOGITS, config.vocab_size))
    rows_alone = 2 * config.vocab_size * config.d_model if trained < parameters else 0
    return 4.0 * (parameters + 3 * trained + tokens * kept + logits + rows_alone)


def _activations(config: ModelConfig, mixer: str) -> int:
    """Numbers that a token's backward through one layer needs."""
    mlp = MIXERS["mlp"].activations(config) if config.mlp_after_mixer else 0
    return MIXERS[mixer].activations(config) + 2 * config.d_model + mlp


def require_memory(parameters: int, device: str) -> None:
    """Refuse what cannot be trained even in steps of one token: weights, gradient and two moments.

    What activations take on top depends on the batch and is only estimated, so it refuses nothing.
    """
    needed, there = 4 * 4 * parameters, _memory_bytes(device)
    if needed > there:
        raise UserError(
            f"training {parameters:,} parameters takes more than {size(needed)} of "
            f"memory, {device} has {size(there)}; choose a smaller model "
            "or vocabulary, or a larger machine"
        )


def _memory_bytes(device: str) -> int:
    if device == "cuda":
        return int(torch.cuda.get_device_properties(0).total_memory)
    return psutil.virtual_memory().total


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
