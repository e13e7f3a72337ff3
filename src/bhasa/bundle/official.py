"""`config.json` in the layout of state-spaces/mamba, both ways.

Keys and defaults are those of its `MambaConfig`, `Mamba` and `Mamba2`; `ssm_cfg` holds the arguments of the
mixer. The embedding has the vocabulary's rows filled up to a multiple.
"""

import sys
from collections.abc import Mapping
from typing import Any

from bhasa.bundle.mixers import PublishedMixer, published_mixers
from bhasa.bundle.mixers.mamba2 import limit
from bhasa.bundle.published import is_published_layout
from bhasa.bundle.sizes import agree
from bhasa.bundle.weights import Shapes
from bhasa.errors import UserError
from bhasa.model.config import ModelConfig

# What says how something is computed, or what fresh weights are.
_WITHOUT_EFFECT = {
    *("chunk_size", "use_fast_path", "use_mem_eff_path"),
    *("dt_init", "dt_scale", "A_init_range", "conv_init"),
}
# What we have in one form only.
_FIXED = {"d_ssm": None, "D_has_hdim": False, "rmsnorm": True, "norm_before_gate": False}
_DEFAULT_LAYER = "Mamba1"
_MLP_MULTIPLE = 128  # to which the official `GatedMLP` rounds its width up


def is_official(values: Mapping[str, Any]) -> bool:
    return "d_model" in values and "hidden_size" not in values


def from_official(official: Mapping[str, Any], where: str, shapes: Shapes | None = None) -> ModelConfig:
    """The inverse of `to_official`. Where `shapes` of the tensors contradict the file, they win."""
    if official.get("attn_layer_idx"):
        raise UserError(
            f"{where}: attn_layer_idx: found {official['attn_layer_idx']!r}; official models with "
            "attention are not read; allowed: [], so choose a pure Mamba or Mamba-2 model"
        )
    ssm_cfg = official.get("ssm_cfg") or {}
    if not isinstance(ssm_cfg, dict):
        raise UserError(f"{where}: ssm_cfg: found {ssm_cfg!r}; allowed: keys and values")
    ssm, mixer = _mixer(ssm_cfg, where)
    width = official.get("d_intermediate", 0)
    values = {
        "d_model": official["d_model"],
        "n_layer": official.get("n_layer", 64),
        "vocab_size": _padded(official, where),
        "d_intermediate": -(-width // _MLP_MULTIPLE) * _MLP_MULTIPLE if isinstance(width, int) else width,
        "norm": "rms" if official.get("rms_norm", True) else "layer",
        "tie_embeddings": official.get("tie_embeddings", True),
        "ssm": ssm,
        **_values(ssm_cfg, mixer, where),
    }
    names = {ours: f"ssm_cfg.{theirs}" for ours, theirs in mixer.official_names.items()}
    return ModelConfig.parse(agree(values, shapes or {}, where, names), where)


def _mixer(ssm_cfg: Mapping[str, Any], where: str) -> tuple[str, PublishedMixer]:
    """The mixer that `ssm_cfg` names, and what is known of it."""
    layers = {mixer.official_layer: (name, mixer) for name, mixer in published_mixers().items()}
    layer = ssm_cfg.get("layer", _DEFAULT_LAYER)
    if not isinstance(layer, str) or layer not in layers:
        raise UserError(f"{where}: ssm_cfg.layer: found {layer!r}; allowed: {', '.join(layers)}")
    return layers[layer]


def _values(ssm_cfg: Mapping[str, Any], mixer: PublishedMixer, where: str) -> dict[str, Any]:
    """The values of `ModelConfig` in `ssm_cfg`."""
    ours = {theirs: key for key, theirs in mixer.official_names.items()}
    for key, value in ssm_cfg.items():
        if key in _FIXED and value != _FIXED[key]:
            raise UserError(f"{where}: ssm_cfg.{key}: found {value!r}; allowed: {_FIXED[key]!r}")
        if key not in {"layer", *ours, *_WITHOUT_EFFECT, *_FIXED}:
            raise UserError(f"{where}: ssm_cfg.{key}: unknown key; allowed here: {', '.join(sorted(ours))}")
    values = mixer.official_defaults | {ours[key]: value for key, value in ssm_cfg.items() if key in ours}
    if "dt_limit" in values:
        values["dt_limit"] = limit(values["dt_limit"], f"{where}: ssm_cfg.dt_limit")
    return values


def _padded(official: Mapping[str, Any], where: str) -> int:
    """Rows of the embedding."""
    sizes: list[int] = []
    for key, default in (("vocab_size", 50277), ("pad_vocab_size_multiple", 8)):
        value = official.get(key, default)
        if type(value) is not int or value < 1:
            raise UserError(f"{where}: {key}: found {value!r}; allowed: a positive whole number")
        sizes.append(value)
    rows, multiple = sizes
    return -(-rows // multiple) * multiple


def to_official(config: ModelConfig) -> dict[str, Any]:
    """`config.json`: every key of the official `MambaConfig`.

    Raises `UserError` for what it cannot express; what concerns training alone is lost, and that is said.
    """
    if reason := not_official(config):
        advice = "use --to huggingface" if is_published_layout(config) else "bhasa alone opens it"
        raise UserError(f"the official layout cannot hold this model: it {reason}; {advice}")
    _say_what_is_lost(config)
    mixer, values = published_mixers()[config.layers[0]], config.as_mapping()
    # Releases before Mamba-2 do not know the key.
    layer = {} if mixer.official_layer == _DEFAULT_LAYER else {"layer": mixer.official_layer}
    ssm_cfg = {theirs: values[ours] for ours, theirs in mixer.official_names.items()}
    return {
        "d_model": config.d_model,
        "d_intermediate": config.d_intermediate,
        "n_layer": config.n_layer,
        "vocab_size": config.vocab_size,
        "ssm_cfg": layer | {key: value for key, value in ssm_cfg.items() if value is not None},
        "attn_layer_idx": [],
        "attn_cfg": {},
        "rms_norm": config.norm == "rms",
        "residual_in_fp32": True,
        "fused_add_norm": True,
        "pad_vocab_size_multiple": 1,  # the rows are counted, filling included
        "tie_embeddings": config.tie_embeddings,
    }


def not_official(config: ModelConfig) -> str | None:
    """Why the official layout cannot express an architecture; None when it can."""
    layers = set(config.layers)
    if len(layers) > 1 or not layers <= published_mixers().keys():
        return f"has layers of {', '.join(sorted(layers))}"
    if config.norm_eps != 1e-5:
        return f"has norm_eps {config.norm_eps}, and only 1e-05 is known there"
    if config.d_intermediate % _MLP_MULTIPLE:
        width = config.d_intermediate
        return f"has d_intermediate {width}, and only multiples of {_MLP_MULTIPLE} are known there"
    return None


def _say_what_is_lost(config: ModelConfig) -> None:
    fields = ("initializer_range", "dropout")
    lost = [
        f"{key} {getattr(config, key)}"
        for key in fields
        if getattr(config, key) != ModelConfig.model_fields[key].default
    ]
    if lost:
        print(
            f"note: the official layout has no place for {', '.join(lost)}: of use in training alone",
            file=sys.stderr,
        )
