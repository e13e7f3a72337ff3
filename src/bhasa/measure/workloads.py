"""What is timed of the program: its operations and its model, each as a job over inputs made beforehand."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from bhasa.hardware import HardwareProfile
from bhasa.inference.config import SamplingConfig
from bhasa.inference.generate import Decoder
from bhasa.measure.timing import Job
from bhasa.model.config import ModelConfig
from bhasa.model.language_model import LanguageModel
from bhasa.ops.causal_conv import causal_conv
from bhasa.ops.selective_scan import selective_scan
from bhasa.tokens.loader import Batch
from bhasa.training.config import TrainingConfig
from bhasa.training.step import Stepper

OFFICIAL_130M = ModelConfig(d_model=768, n_layer=24, vocab_size=50280)


class ScanCase(NamedTuple):
    """Arguments of a selective scan with its gate and its bias, as a trained layer has them."""

    x: Tensor
    dt: Tensor
    A: Tensor
    B: Tensor
    C: Tensor
    D: Tensor
    z: Tensor
    dt_bias: Tensor

    def double(self) -> "ScanCase":
        """The same values in float64."""
        return ScanCase(*_double(self))


class ConvCase(NamedTuple):
    x: Tensor
    weight: Tensor
    bias: Tensor

    def double(self) -> "ConvCase":
        """The same values in float64."""
        return ConvCase(*_double(self))


def scan_inputs(batch: int, length: int, d_inner: int, d_state: int) -> ScanCase:
    """Random activations, and parameters at their initial values; every tensor asks for its gradient."""
    random = torch.Generator().manual_seed(0)

    def normal(*shape: int, scale: float = 1.0) -> Tensor:
        return scale * torch.randn(*shape, generator=random)

    inputs = ScanCase(
        x=normal(batch, length, d_inner),
        dt=normal(batch, length, d_inner, scale=0.5),
        A=-torch.arange(1.0, d_state + 1).repeat(d_inner, 1),
        B=normal(batch, length, d_state),
        C=normal(batch, length, d_state),
        D=torch.ones(d_inner),
        z=normal(batch, length, d_inner),
        dt_bias=torch.linspace(-6.9, -2.25, d_inner),  # softplus of it is 1e-3 to 0.1
    )
    return ScanCase(*(tensor.requires_grad_() for tensor in inputs))


def conv_inputs(batch: int, length: int, d_inner: int, taps: int = 4) -> ConvCase:
    """Random values; every tensor asks for its gradient."""
    random = torch.Generator().manual_seed(0)
    shapes = ((batch, length, d_inner), (d_inner, taps), (d_inner,))
    return ConvCase(*(torch.randn(*shape, generator=random).requires_grad_() for shape in shapes))


def _double(tensors: tuple[Tensor, ...]) -> list[Tensor]:
    return [tensor.detach().double().requires_grad_() for tensor in tensors]


def scan(inputs: ScanCase, backend: str = "auto") -> Tensor:
    """The output (b, l, d)."""
    x, dt, A, B, C, D, z, dt_bias = inputs
    return selective_scan(x, dt, A, B, C, D, z=z, dt_bias=dt_bias, backend=backend)[0]


def conv(inputs: ConvCase, backend: str = "auto") -> Tensor:
    """The output (b, l, d)."""
    return causal_conv(*inputs, backend=backend)[0]


def forward(function: Callable[..., Tensor], inputs: tuple[Tensor, ...]) -> Job:
    """`function` of `inputs` without gradients."""

    def job() -> Tensor:
        with torch.inference_mode():
            return function(inputs)

    return job


def forward_backward(function: Callable[..., Tensor], inputs: tuple[Tensor, ...]) -> Job:
    """`function` of `inputs`, then the gradients of them all from a constant one of the output."""
    gradient = torch.ones_like(inputs[0]) / inputs[0].numel()

    def job() -> tuple[Tensor, ...]:
        return torch.autograd.grad(function(inputs), inputs, gradient)

    return job


class SameBatch:
    """The same random rows at every step: rows of `length` tokens."""

    def __init__(self, batch: int, length: int, vocab_size: int) -> None:
        tokens = np.random.default_rng(0).integers(1, vocab_size, (batch, length + 1))
        self.rows_per_epoch = batch
        self.all = Batch(tokens[:, :-1].copy(), tokens[:, 1:].copy(), np.zeros((batch, length), np.int64))

    def batch(self, step: int, batch_size: int, rows: slice) -> Batch:
        return Batch(*(part[rows] for part in self.all))


def training_step(model: LanguageModel, batches: SameBatch) -> Job:
    """One optimiser step on the whole batch: forward, backward, clipping, update."""
    rows, length = batches.all.inputs.shape
    config = TrainingConfig(context_length=length, tokens_per_step=rows * length, learning_rate=1e-4)
    hardware = HardwareProfile(device="cpu", precision="fp32", micro_batch=rows)
    stepper = Stepper(model, config, hardware, seed=0)
    return lambda: stepper.train_step(batches, 0, sequences=rows, rate=config.learning_rate)


def prefill(model: LanguageModel, ids: list[int]) -> Job:
    """Read `ids` from the start, to the logits of the next token."""

    def job() -> Tensor:
        decoder = Decoder(model)
        decoder.feed(ids)
        return decoder.next_logits()

    return job


def decoding(model: LanguageModel, prompt: list[int], new_tokens: int) -> Job:
    """Go on greedily with one text, `new_tokens` more each time; the prompt is read beforehand."""
    decoder = Decoder(model)
    decoder.feed(prompt)
    greedy = SamplingConfig(temperature=0.0, max_new_tokens=new_tokens)
    next(decoder.write(greedy))
    return lambda: list(decoder.write(greedy))
