"""The page that a model folder shows where it is published."""

from collections.abc import Mapping
from typing import Any, Literal

import bhasa
from bhasa.cards.layers import describe_layers
from bhasa.model.config import ModelConfig

Layout = Literal["transformers", "mamba-ssm", "bhasa"]
"""Whose the layout of the folder is, by the names that model hubs have for libraries."""

_OPENS_WITH: dict[Layout, str] = {
    "transformers": '`transformers.AutoModelForCausalLM.from_pretrained("<this folder>")`',
    "mamba-ssm": (
        "`mamba_ssm`: `MambaLMHeadModel(MambaConfig(**values of config.json))`, then `load_state_dict` of "
        "what `safetensors.torch.load_file` reads"
    ),
    "bhasa": "`bhasa generate --model <this folder>` (transformers has no such architecture)",
}


def model_card(
    config: ModelConfig, *, parameters: int, layout: Layout, provenance: Mapping[str, Any], file: str
) -> str:
    """Markdown; `file` is the name under which `provenance` lies beside it."""
    tags = "".join(f"\n- {mixer}" for mixer in sorted(set(config.layers)))
    rows = "\n".join(f"| {key} | {value} |" for key, value in config.as_mapping().items())
    source = f"What it was made from is in `{file}`.\n" if provenance else ""
    return (
        f"---\nlibrary_name: {layout}\npipeline_tag: text-generation\ntags:{tags}\n---\n"
        "# A Mamba language model\n\n"
        f"{parameters:,} parameters, {_origin(provenance)}. Open it with {_OPENS_WITH[layout]}.\n{source}\n"
        f"```text\nembedding -> {describe_layers(config)} -> norm -> output\n```\n\n"
        f"| architecture | |\n| --- | --- |\n{rows}\n"
    )


def _origin(provenance: Mapping[str, Any]) -> str:
    """What was done to the weights, by which release."""
    release = f"by bhasa {provenance.get('bhasa', bhasa.__version__)}"
    if "finetune" in provenance:
        return f"fine-tuned {release}"
    if "pretrain" not in provenance:
        return f"written {release}"
    if "init_from_sha256" not in provenance:
        return f"trained {release}"
    return (
        f"trained further {release}" if provenance["pretrain"]["steps"] else f"taken over {release} as it was"
    )
