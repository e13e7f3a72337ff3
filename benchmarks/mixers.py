"""A training step by mixer: Mamba, Mamba-2, attention and a hybrid; and transformers' Mamba-2."""

from collections.abc import Iterator
from typing import Any

from benchmarks import options, peers
from bhasa.measure import limits, workloads
from bhasa.measure.table import Row
from bhasa.model.config import ModelConfig
from bhasa.model.language_model import LanguageModel, build

TITLE = "Training step by mixer: forward, backward, clipping, AdamW"
MAMBA2 = {"ssm": "mamba2", "d_state": 64}
FAMILIES: dict[str, dict[str, Any]] = {
    "Mamba": {},
    "Mamba-2": MAMBA2,
    "attention": {"pattern": "*"},
    "hybrid, 1 attention in 8": {**MAMBA2, "pattern": "4M*3M"},
}
SHAPE = {"d_model": 512, "n_layer": 8, "vocab_size": 8192}
BATCHES = ((2, 512), (1, 2048))
# The shape at which the rate of transformers' Mamba-2 is known on other machines.
PEERS_SHAPE = {"d_model": 256, "n_layer": 4, "vocab_size": 4096, **MAMBA2}
PEERS_BATCH = (4, 256)
QUICK = {"d_model": 64, "n_layer": 8, "vocab_size": 64, "headdim": 16}
CHECKED = 64  # tokens whose logits are compared


def measure(given: options.Options) -> tuple[dict[str, float], list[Row]]:
    shape, batches = (QUICK, ((2, 24),)) if given.quick else (SHAPE, BATCHES)
    models = {name: build(_config(shape | family), seed=0) for name, family in FAMILIES.items()}
    rates = limits.machine_rates(models["Mamba"], batches[0][0] * batches[0][1])
    rows = [row for batch in batches for row in _families(given, models, *batch, rates)]
    return rates, rows + list(_beside_transformers(given, rates))


def _config(values: dict[str, Any]) -> ModelConfig:
    return ModelConfig.parse(values, "benchmarks/mixers.py")


def _families(
    given: options.Options, models: dict[str, LanguageModel], rows: int, length: int, rates: dict[str, float]
) -> Iterator[Row]:
    batches = workloads.SameBatch(rows, length, models["Mamba"].config.vocab_size)
    jobs = {name: workloads.training_step(model, batches) for name, model in models.items()}
    for name, timing in given.timed(jobs).items():
        model, tokens = models[name], rows * length
        least = 6 * limits.product_parameters(model) * tokens / limits.fastest_products(rates)
        error = peers.logits_error(model, model, CHECKED)
        note = f"{model.num_parameters():,} parameters"
        yield Row(
            f"{rows} x {length}", name, timing, least, tokens / timing.median, "tokens/s", error, note=note
        )


def _beside_transformers(given: options.Options, rates: dict[str, float]) -> Iterator[Row]:
    model = build(_config((QUICK | {"n_layer": 2} | MAMBA2) if given.quick else PEERS_SHAPE), seed=0)
    peer = peers.transformers_model(model)
    rows, length = (2, 24) if given.quick else PEERS_BATCH
    batches = workloads.SameBatch(rows, length, model.config.vocab_size)
    errors = {
        "Mamba-2": peers.logits_error(model, model, CHECKED),
        "transformers, Mamba-2": peers.logits_error(peer, model, CHECKED),
    }
    jobs = {
        "Mamba-2": workloads.training_step(model, batches),
        "transformers, Mamba-2": peers.training_step(peer, batches),
    }
    for name, timing in given.timed(jobs).items():
        tokens = rows * length
        least = 6 * limits.product_parameters(model) * tokens / limits.fastest_products(rates)
        case = f"{rows} x {length}, d_model {model.config.d_model}"
        yield Row(case, name, timing, least, tokens / timing.median, "tokens/s", errors[name])


if __name__ == "__main__":
    options.main("mixers", TITLE, measure)
