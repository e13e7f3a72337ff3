"""How the next token is chosen. The defaults draw from the model's own distribution, unaltered."""

from typing import Annotated

from pydantic import Field

from bhasa.params import Config


class SamplingConfig(Config):
    """How tokens are drawn, and how many. The same seed, prompt and model give the same text."""

    max_new_tokens: Annotated[int, Field(ge=1)] = 256
    """Tokens to write at most; an end token stops earlier."""
    temperature: Annotated[float, Field(ge=0.0, le=100.0)] = 1.0
    """Divides the logits: below 1 the likely tokens gain, 0 always takes the likeliest."""
    top_k: Annotated[int, Field(ge=0)] = 0
    """Draw from the k likeliest tokens only; 0 keeps all."""
    top_p: Annotated[float, Field(gt=0.0, le=1.0)] = 1.0
    """Draw from the fewest likeliest tokens that hold this share of the probability; 1 keeps all."""
    seed: Annotated[int, Field(ge=0, lt=2**63)] = 0
    """Which of the possible texts is drawn."""
