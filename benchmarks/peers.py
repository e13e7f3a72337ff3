"""The peers, given the program's own inputs and weights, each in its best setting on a CPU."""

import importlib.util
import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bhasa.bundle import to_published
from bhasa.measure.timing import Job
from bhasa.measure.workloads import ConvCase, SameBatch, ScanCase
from bhasa.model.config import ModelConfig
from bhasa.model.language_model import LanguageModel, build

MISSING = "mambapy is not installed: pip install -c requirements.lock -e '.[peers]'"


def has_mambapy() -> bool:
    return importlib.util.find_spec("mambapy") is not None


def loop_scan(inputs: ScanCase) -> Tensor:
    """The scan step by step in plain torch, with all that does not depend on the state computed before.

    Steps are unbound and not indexed, whose backward would write the whole sequence once a step.
    """
    x, dt, A, B, C, D, z, dt_bias = inputs
    dt = F.softplus(dt + dt_bias)
    decays = torch.exp(dt[..., None] * A).unbind(1)  # of (b, d, n)
    added = ((dt * x)[..., None] * B[:, :, None]).unbind(1)
    state, outputs = torch.zeros_like(decays[0]), []
    for decay, add, c in zip(decays, added, C[..., None].unbind(1), strict=True):
        state = decay * state + add
        outputs.append((state @ c).squeeze(-1))
    return (torch.stack(outputs, dim=1) + D * x) * F.silu(z)


def mambapy_scan(inputs: ScanCase) -> Tensor:
    """The same by mambapy's parallel scan, as `MambaBlock.ssm` calls it."""
    from mambapy.pscan import pscan

    x, dt, A, B, C, D, z, dt_bias = inputs
    dt = F.softplus(dt + dt_bias)
    decay = torch.exp(dt.unsqueeze(-1) * A)
    added = dt.unsqueeze(-1) * B.unsqueeze(2) * x.unsqueeze(-1)
    states = pscan(decay, added)
    return ((states @ C.unsqueeze(-1)).squeeze(3) + D * x) * F.silu(z)


def nn_conv(inputs: ConvCase) -> Tensor:
    """`nn.Conv1d` with a group a channel, padded on both sides and cut, as every published Mamba does it."""
    x, weight, bias = inputs
    taps = weight.shape[1]
    y = F.conv1d(x.transpose(1, 2), weight[:, None], bias, padding=taps - 1, groups=len(weight))
    return F.silu(y[..., : x.shape[1]].transpose(1, 2))


class MambapyModel(nn.Module):
    """mambapy's stack of blocks between an embedding and a head, as in its `LM`.

    Its own module of that class imports a CUDA package. The embedding is tied as ours is.
    """

    def __init__(self, config: ModelConfig) -> None:
        from mambapy.mamba import Mamba, MambaConfig, RMSNorm

        super().__init__()
        self.embeddings = nn.Embedding(config.vocab_size, config.d_model)
        self.mamba = Mamba(
            MambaConfig(config.d_model, config.n_layer, d_state=config.d_state, expand_factor=config.expand)
        )
        self.norm_f = RMSNorm(config.d_model, config.norm_eps)
        self.lm_head = nn.Linear(config.d_model, config.vocab_size, bias=False)
        if config.tie_embeddings:
            self.lm_head.weight = self.embeddings.weight

    def forward(self, input_ids: Tensor) -> Tensor:
        return self.lm_head(self.norm_f(self.mamba(self.embeddings(input_ids))))


def mambapy_model(model: LanguageModel) -> nn.Module:
    """mambapy's language model with the weights of ours."""
    peer = MambapyModel(model.config)
    renamed = {name.replace("backbone.layers", "mamba.layers"): w for name, w in model.state_dict().items()}
    peer.load_state_dict({name.removeprefix("backbone."): weight for name, weight in renamed.items()})
    return peer


def transformers_model(model: LanguageModel, *, use_mambapy: bool = False) -> nn.Module:
    """transformers' `MambaForCausalLM` or `Mamba2ForCausalLM`, eager, with the weights of ours."""
    from transformers import AutoConfig, AutoModelForCausalLM
    from transformers.utils import logging

    logging.set_verbosity_error()  # it advises CUDA kernels
    published = to_published(model.config) | ({"use_mambapy": True} if use_mambapy else {})
    published.pop("time_step_limit", None)  # in the spelling of a file; none is the default
    peer = AutoModelForCausalLM.from_config(AutoConfig.for_model(**published))
    peer.load_state_dict(model.state_dict())
    return peer


def logits_of(output: object) -> Tensor:
    """The logits (b, l, vocab_size), however a model wraps them."""
    if isinstance(output, Tensor):
        return output
    return output[0] if isinstance(output, tuple) else output.logits


def training_step(model: nn.Module, batches: SameBatch) -> Job:
    """The same work as `workloads.training_step`, by torch's fastest AdamW."""
    optimizer = torch.optim.AdamW(
        model.parameters(), lr=1e-4, betas=(0.9, 0.95), weight_decay=0.1, fused=True
    )
    inputs, targets = (torch.from_numpy(part) for part in batches.all[:2])
    model.train()

    def job() -> float:
        loss = F.cross_entropy(logits_of(model(inputs)).flatten(0, 1), targets.flatten())
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        return loss.item()

    return job


def transformers_prefill(peer: nn.Module, ids: list[int]) -> Job:
    """Read `ids` to the logits of the last one alone."""
    tokens = torch.tensor([ids])

    @torch.inference_mode()
    def job() -> Tensor:
        return peer(tokens, use_cache=True, logits_to_keep=1).logits

    return job


def transformers_decoding(peer: nn.Module, prompt: list[int], new_tokens: int) -> Job:
    """Go on greedily with one text; the model is called directly, `generate` being slower."""
    with torch.inference_mode():
        output = peer(torch.tensor([prompt]), use_cache=True)
    written = {"cache": output.cache_params, "token": output.logits[:, -1:].argmax(-1)}

    @torch.inference_mode()
    def job() -> list[int]:
        tokens = []
        for _ in range(new_tokens):
            tokens.append(written["token"].item())
            output = peer(written["token"], cache_params=written["cache"], use_cache=True)
            written["token"] = output.logits[:, -1:].argmax(-1)
        return tokens

    return job


def deviation(found: tuple[Tensor, ...], exact: tuple[Tensor, ...]) -> float:
    """The largest difference from `exact`, each tensor's as a share of its own largest value."""
    shares = (float((f.double() - e).abs().max() / e.abs().max()) for f, e in zip(found, exact, strict=True))
    return max(share if math.isfinite(share) else math.inf for share in shares)


@torch.no_grad()
def logits_error(peer: nn.Module, model: LanguageModel, tokens: int) -> float:
    """The `deviation` of a peer's logits from those of `model`'s weights by the reference in float64."""
    ids = torch.from_numpy(SameBatch(1, tokens, model.config.vocab_size).all.inputs)
    exact = build(model.config, seed=0, backend="reference")
    exact.load_state_dict(model.state_dict())
    return deviation((logits_of(peer(ids)),), (logits_of(exact.double()(ids)),))
