"""Adapters through peft: put into a model, written as peft's folder, merged into the weights.

The special tokens of a conversation never occur in documents, so their rows of the embedding are trained too.
"""

import json
from collections.abc import Callable, Mapping
from pathlib import Path

import torch
from peft import LoraConfig, PeftModel, get_peft_model

from bhasa import journal
from bhasa.cards import adapter_card
from bhasa.errors import BhasaError
from bhasa.finetuning import lora
from bhasa.finetuning.config import Adapter
from bhasa.finetuning.projections import are_portable
from bhasa.model.language_model import LanguageModel
from bhasa.tokens.special import ASSISTANT, END_OF_TURN, SYSTEM, USER

KINDS: Mapping[str, Callable[[LanguageModel, Adapter], LoraConfig]] = {"lora": lora.peft_config}
"""What peft is told for each kind of `config.Adapter`."""

SPECIAL_TOKEN_IDS = (USER, ASSISTANT, END_OF_TURN, SYSTEM)

CHECKED_ROWS = 4
"""Rows on which losses are compared before and after, whatever the micro-batch."""
TOLERANCE = 1e-5
"""How far two losses in float32 may differ, relative to them, and count as equal.

A merged weight is rounded once more than what it stands for, by 2^-24 of itself, at random; in the mean over
the tokens of a few rows that was at most 1.2e-7, one unit of a float32 loss, at up to 48 layers or a width of
1,024. This is 80 times as much, and a third of what bypassing the least of 16 adapters (dt_proj of one layer)
did after an epoch with the default model; most did a hundred times that.
"""


def attach(model: LanguageModel, config: Adapter, *, seed: int) -> PeftModel:
    """Put adapters into `model` in place and freeze the rest; returns peft's handle on it."""
    settings = KINDS[config.kind](model, config)
    settings.trainable_token_indices = {name: list(SPECIAL_TOKEN_IDS) for name in _vocabulary_matrices(model)}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return get_peft_model(model, settings)


def _vocabulary_matrices(model: LanguageModel) -> tuple[str, ...]:
    """Names of the matrices with a row per token; peft finds a tied output by itself."""
    return ("embeddings",) if model.config.tie_embeddings else ("embeddings", "lm_head")


def require_equal(loss: float, expected: float) -> None:
    """Fresh adapters and merging must change nothing: another loss means that something bypasses them.

    Both are of the same rows, in float32.
    """
    if not abs(loss - expected) <= TOLERANCE * expected:
        raise BhasaError(
            f"the loss is {loss!r} where it must be {expected!r}: an adapter is bypassed. "
            "This is a fault of bhasa, not of your input"
        )


def write(adapted: PeftModel, folder: Path, *, base: Path) -> None:
    """Write a folder as peft's, whose bytes repeat, with a page that says what opens it."""
    adapted.peft_config["default"].base_model_name_or_path = base.as_posix()
    adapted.save_pretrained(str(folder), save_embedding_layers=False)  # "auto" would ask the hub
    path = folder / "adapter_config.json"
    values = json.loads(path.read_text(encoding="utf-8"))
    names = sorted(values["target_modules"])  # a set: its order changes from run to run
    model = adapted.get_base_model()
    assert isinstance(model, LanguageModel)
    portable = are_portable(model, names)
    # Set before training, the task would have peft ask for methods that only transformers' models have.
    values |= {"target_modules": names, "task_type": "CAUSAL_LM" if portable else None, "auto_mapping": None}
    journal.write_json(path, dict(sorted(values.items())))
    page = adapter_card(values["peft_type"], names, base=base.as_posix(), portable=portable)
    journal.write_text(folder / "README.md", page)


def merge(adapted: PeftModel) -> LanguageModel:
    """Add the adapters into the weights; the model is then an ordinary one of the base's shape."""
    merged = adapted.merge_and_unload()
    assert isinstance(merged, LanguageModel)
    return merged.requires_grad_(True)
