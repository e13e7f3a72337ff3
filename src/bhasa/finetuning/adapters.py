"""LoRA (Hu et al. 2021) through peft, on projections chosen by name.

An adapter adds B A alpha / rank to a frozen matrix; B starts at zero, so a model with fresh adapters
computes what its base does. Names that match nothing are an error, never a silent no-op. The special
tokens of a conversation never occur in documents, so their rows of the embedding are trained too.
"""

import json
from pathlib import Path

import torch
from peft import LoraConfig, PeftModel, get_peft_model

from bhasa import journal
from bhasa.errors import BhasaError
from bhasa.finetuning.config import FinetuneConfig
from bhasa.finetuning.projections import projections
from bhasa.model.language_model import LanguageModel
from bhasa.tokens.special import ASSISTANT, END_OF_TURN, SYSTEM, USER

SPECIAL_TOKEN_IDS = (USER, ASSISTANT, END_OF_TURN, SYSTEM)

CHECKED_ROWS = 4
"""Rows on which losses are compared before and after, whatever the micro-batch."""
TOLERANCE = 1e-5
"""How far two losses in float32 may differ, relative to them, and count as equal.

A merged weight is rounded once more than what it stands for, by 2^-24 of itself, at random; in the mean over
the tokens of a few rows that was at most 1.2e-7, one unit of a float32 loss, at up to 48 layers or a width of
1,024. This is 80 times as much, and less than one bypassed adapter does.
"""


def attach(model: LanguageModel, config: FinetuneConfig, *, seed: int) -> PeftModel:
    """Put adapters into `model` in place and freeze the rest; returns peft's handle on it."""
    lora = LoraConfig(
        r=config.rank,
        lora_alpha=config.alpha,  # type: ignore[arg-type]  # a float is as good
        lora_dropout=config.dropout,
        target_modules=projections(model, config.targets),
        trainable_token_indices={name: list(SPECIAL_TOKEN_IDS) for name in _vocabulary_matrices(model)},
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return get_peft_model(model, lora)


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
    """Write the adapter as a peft folder whose bytes repeat."""
    adapted.peft_config["default"].base_model_name_or_path = base.as_posix()
    adapted.save_pretrained(str(folder), save_embedding_layers=False)  # "auto" would ask the hub
    (folder / "README.md").unlink(missing_ok=True)  # peft's template, all blanks
    path = folder / "adapter_config.json"
    values = json.loads(path.read_text(encoding="utf-8"))
    values["target_modules"] = sorted(values["target_modules"])  # a set: its order changes from run to run
    journal.write_json(path, dict(sorted(values.items())))


def merge(adapted: PeftModel) -> LanguageModel:
    """Add the adapters into the weights; the model is then an ordinary one of the base's shape."""
    merged = adapted.merge_and_unload()
    assert isinstance(merged, LanguageModel)
    return merged.requires_grad_(True)
