"""What `export` makes, and how far from the source model it may be."""

from typing import Annotated, Self

from pydantic import Field, model_validator

from bhasa.export.targets import TARGETS
from bhasa.inference.config import SamplingConfig
from bhasa.params import Config


class ExportConfig(Config):
    """The section `export` of params.yaml."""

    targets: Annotated[tuple[str, ...], Field(min_length=1)] = tuple(TARGETS)
    """What to make: huggingface, onnx, onnx-int8."""
    prompt_tokens: Annotated[int, Field(ge=16)] = 512
    """Tokens of a test document that each target reads next to the source model; fewer if none is so long."""
    max_logit_difference: Annotated[float, Field(gt=0, lt=1)] = 1e-4
    """Gate for float32 targets: the largest difference of a logit, as a share of the source's largest."""
    int8_max_kl: Annotated[float, Field(gt=0)] = 0.01
    """Gate for 8-bit targets: mean KL divergence of the predictions from the source's, nats per token."""
    int8_max_perplexity_increase: Annotated[float, Field(gt=0)] = 0.5
    """Gate for 8-bit targets: rise of the perplexity of the prompt, percent."""
    sampling: SamplingConfig = SamplingConfig(max_new_tokens=128, temperature=0.8, top_k=50, top_p=0.95)
    """How the registered model writes when a request does not say."""

    @model_validator(mode="after")
    def _known_targets(self) -> Self:
        for name in self.targets:
            if name not in TARGETS:
                raise ValueError(f"targets: found '{name}'; allowed: {', '.join(TARGETS)}")
        if len(set(self.targets)) < len(self.targets):
            raise ValueError(f"targets: found {', '.join(self.targets)}; name each one once")
        return self
