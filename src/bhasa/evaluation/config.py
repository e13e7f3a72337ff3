"""What `evaluate` and `speed` measure, and on how much."""

from typing import Annotated

from pydantic import Field

from bhasa.inference.config import SamplingConfig
from bhasa.params import Config

Prompt = Annotated[str, Field(min_length=1)]


class SpeedConfig(Config):
    """The section `speed` of params.yaml: how decoding is timed."""

    prompt_tokens: Annotated[int, Field(ge=1)] = 256
    """Tokens read before the first one is written."""
    new_tokens: Annotated[int, Field(ge=2)] = 64
    """Tokens written one by one."""
    repeats: Annotated[int, Field(ge=1)] = 5
    """Timed runs after one that is not; the median counts."""


class EvaluateConfig(Config):
    """The section `evaluate` of params.yaml."""

    max_bytes: Annotated[int, Field(ge=1)] = 300_000
    """UTF-8 bytes of the test split to measure: documents in the order of their ids, the last cut to fit."""
    batch: Annotated[int, Field(ge=1)] = 8
    """Documents read side by side; more is faster and takes more memory."""
    chunk: Annotated[int, Field(ge=1)] = 256
    """Tokens of each document read at once; the state is carried to the next chunk."""
    prompts: Annotated[tuple[Prompt, ...], Field(min_length=1)]
    """Continued by both models, and answered by the fine-tuned one in a chat."""
    sampling: SamplingConfig = SamplingConfig()
    """How those texts are drawn."""
