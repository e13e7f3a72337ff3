"""LoRA (Hu et al. 2021) in peft's terms, on projections chosen by name.

B starts at zero, so a model with fresh adapters computes what its base does. Names that match nothing are an
error, never a silent no-op.
"""

import peft

from bhasa.finetuning.config import LoraConfig
from bhasa.finetuning.projections import projections
from bhasa.model.language_model import LanguageModel


def peft_config(model: LanguageModel, config: LoraConfig) -> peft.LoraConfig:
    return peft.LoraConfig(
        r=config.rank,
        lora_alpha=config.alpha,  # type: ignore[arg-type]  # a float is as good
        lora_dropout=config.dropout,
        target_modules=projections(model, config.targets),
    )
