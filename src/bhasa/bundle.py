"""The model folder: what passes between stages and what users receive.

For models that transformers' `MambaForCausalLM` can express, which is every model without an MLP or
LayerNorm, the folder *is* the Hugging Face layout and opens there with no code of ours: `config.json`,
`model.safetensors` under the published names, tokenizer, `generation_config.json`, a model card, and
`provenance.json`. Others keep the same frame under `model_type: bhasa`. Nothing here is ever pickled.
"""

import json
import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer

import bhasa
from bhasa import journal
from bhasa.errors import UserError
from bhasa.hardware import machine
from bhasa.model.config import ModelConfig
from bhasa.model.language_model import LanguageModel
from bhasa.tokens.special import END_OF_TEXT, END_OF_TURN

CONFIG, WEIGHTS, TOKENIZER, PROVENANCE = (
    "config.json",
    "model.safetensors",
    "tokenizer.json",
    "provenance.json",
)

# Ours to theirs, for the fields whose value passes unchanged.
_PUBLISHED_KEYS = {
    "vocab_size": "vocab_size",
    "d_model": "hidden_size",
    "d_state": "state_size",
    "n_layer": "num_hidden_layers",
    "norm_eps": "layer_norm_epsilon",
    "expand": "expand",
    "d_conv": "conv_kernel",
    "use_bias": "use_bias",
    "conv_bias": "use_conv_bias",
    "initializer_range": "initializer_range",
    "dt_rank": "time_step_rank",
    "dt_min": "time_step_min",
    "dt_max": "time_step_max",
    "dt_init_floor": "time_step_floor",
    "tie_embeddings": "tie_word_embeddings",
}
_OWN_KEYS = ("d_intermediate", "norm", "dropout")


def save(folder: Path, model: LanguageModel, *, tokenizer: Path, provenance: Mapping[str, Any]) -> None:
    """Write the whole folder, or nothing. `tokenizer` is the folder whose files are copied along."""
    config = model.config
    tensors = {name: t.detach().cpu().contiguous() for name, t in model.state_dict().items()}
    if config.tie_embeddings:
        del tensors["lm_head.weight"]  # one tensor, one name: the published files leave it out too
    with journal.publish(folder) as draft:
        draft.mkdir()
        for path in sorted(tokenizer.iterdir()):
            if path.is_file():
                shutil.copyfile(path, draft / path.name)
        save_file(tensors, draft / WEIGHTS, metadata={"format": "pt"})
        journal.write_json(draft / CONFIG, to_published(config))
        ends = {
            "bos_token_id": END_OF_TEXT,
            "eos_token_id": [END_OF_TEXT, END_OF_TURN],
            "pad_token_id": END_OF_TEXT,
        }
        journal.write_json(draft / "generation_config.json", ends)
        journal.write_json(draft / PROVENANCE, machine() | dict(provenance))
        journal.write_text(draft / "README.md", _card(model))


def load(folder: Path, device: str | torch.device = "cpu", *, backend: str = "auto") -> LanguageModel:
    """The model of a folder, in evaluation mode."""
    config = read_config(folder)
    try:
        # A published file may be in half precision; the parameters here are float32 under every precision.
        tensors = {name: tensor.float() for name, tensor in load_file(folder / WEIGHTS).items()}
    except FileNotFoundError:
        raise UserError(f"{folder / WEIGHTS}: no such file; {_REMEDY}") from None
    except (SafetensorError, OSError) as error:
        raise UserError(f"{folder / WEIGHTS}: damaged or not safetensors ({error}); {_REMEDY}") from None
    with torch.device("meta"):  # shapes only: drawing initial weights to overwrite them costs seconds
        model = LanguageModel(config, backend)
    if config.tie_embeddings:
        tensors.setdefault("lm_head.weight", tensors.get("backbone.embeddings.weight", torch.empty(0)))
    _check_shapes(tensors, model, folder / WEIGHTS)
    model.load_state_dict(tensors, assign=True)
    if config.tie_embeddings:
        model.lm_head.weight = model.backbone.embeddings.weight
    return model.to(device).eval()


def load_tokenizer(folder: Path) -> Tokenizer:
    path = folder / TOKENIZER
    if not path.is_file():
        raise UserError(f"{path}: no such file; {_REMEDY}")
    try:
        return Tokenizer.from_file(str(path))
    except Exception as error:  # the library raises plain Exception
        raise UserError(f"{path}: not a readable tokenizer ({error}); {_REMEDY}") from None


def read_config(folder: Path) -> ModelConfig:
    """The architecture in a folder's `config.json`, ours or a published one."""
    path = folder / CONFIG
    if not path.is_file():
        raise UserError(f"{path}: no such file, so {folder} is no model folder; {_REMEDY}")
    try:
        published = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise UserError(f"{path}: not valid JSON ({error}); {_REMEDY}") from None
    if not isinstance(published, dict):
        raise UserError(f"{path}: expected a JSON object; {_REMEDY}")
    return from_published(published, str(path))


def is_published_layout(config: ModelConfig) -> bool:
    """Whether transformers can express this architecture."""
    return config.d_intermediate == 0 and config.norm == "rms"


def to_published(config: ModelConfig) -> dict[str, Any]:
    """`config.json`: every key of transformers' `MambaConfig`, and ours for what it has not."""
    published = is_published_layout(config)
    values = config.as_mapping() | {"dt_rank": config.resolved_dt_rank}
    return {
        "architectures": ["MambaForCausalLM" if published else "BhasaForCausalLM"],
        "model_type": "mamba" if published else "bhasa",
        **{theirs: values[ours] for ours, theirs in _PUBLISHED_KEYS.items()},
        "intermediate_size": config.d_inner,
        "hidden_act": "silu",
        "residual_in_fp32": True,
        "time_step_scale": 1.0,
        "time_step_init_scheme": "random",
        # It concerns fresh weights only, and transformers 5.23 redraws a loaded out_proj when it is true.
        "rescale_prenorm_residual": False,
        "use_cache": True,
        "use_mambapy": False,
        "use_associative_scan": True,
        "bos_token_id": END_OF_TEXT,
        "eos_token_id": END_OF_TEXT,
        "pad_token_id": END_OF_TEXT,
        "dtype": "float32",
        **{key: values[key] for key in _OWN_KEYS},
    }


def from_published(published: Mapping[str, Any], where: str) -> ModelConfig:
    """The inverse of `to_published`. Published files may contradict themselves; sizes of tensors win."""
    kind = published.get("model_type")
    if kind not in ("mamba", "bhasa"):
        raise UserError(f"{where}: model_type: found {kind!r}; allowed: mamba, bhasa")
    if published.get("hidden_act", "silu") != "silu":
        raise UserError(f"{where}: hidden_act: found {published['hidden_act']!r}; allowed: silu")
    values = {ours: published[theirs] for ours, theirs in _PUBLISHED_KEYS.items() if theirs in published}
    values |= {key: published[key] for key in _OWN_KEYS if key in published}
    inner, width = published.get("intermediate_size"), published.get("hidden_size")
    if isinstance(inner, int) and isinstance(width, int) and width > 0:
        if inner <= 0 or inner % width:
            raise UserError(
                f"{where}: intermediate_size: found {inner}; allowed: a multiple of hidden_size ({width})"
            )
        values["expand"] = inner // width  # Falcon-Mamba's file says expand 16 and means 2
    try:
        return ModelConfig.parse(values, where)
    except UserError as error:
        raise UserError(_in_published_keys(str(error), where)) from None


def _in_published_keys(message: str, where: str) -> str:
    """Lines of an error, each of which begins with `where`, with the file's names of keys for ours."""
    found = (line.removeprefix(where) for line in message.splitlines())
    return "\n".join(
        where + re.sub(r"\w+", lambda word: _PUBLISHED_KEYS.get(word[0], word[0]), line) for line in found
    )


_REMEDY = "run `dvc repro`, which makes what is missing, or `dvc checkout` to restore the last good one"


def _check_shapes(tensors: Mapping[str, torch.Tensor], model: LanguageModel, path: Path) -> None:
    expected = {name: tuple(t.shape) for name, t in model.state_dict().items()}
    found = {name: tuple(t.shape) for name, t in tensors.items()}
    for name in sorted(expected.keys() | found.keys()):
        if expected.get(name) != found.get(name):
            raise UserError(
                f"{path}: tensor {name}: {CONFIG} asks for {expected.get(name, 'none')}, "
                f"the file has {found.get(name, 'none')}; {_REMEDY}"
            )


def _card(model: LanguageModel) -> str:
    config = model.config
    opens_with = (
        '`transformers.AutoModelForCausalLM.from_pretrained("<this folder>")`'
        if is_published_layout(config)
        else "`bhasa generate --model <this folder>` (transformers has no such architecture)"
    )
    rows = "\n".join(f"| {key} | {value} |" for key, value in config.as_mapping().items())
    return (
        "---\nlibrary_name: transformers\npipeline_tag: text-generation\n---\n# A Mamba language model\n\n"
        f"{model.num_parameters():,} parameters, trained by bhasa {bhasa.__version__}. "
        f"Open it with {opens_with}.\n"
        f"What it was made from is in `{PROVENANCE}`.\n\n| architecture | |\n| --- | --- |\n{rows}\n"
    )
