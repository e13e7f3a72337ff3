"""What `export` makes, and how far from the source model it may be."""

from typing import Annotated, Self

from pydantic import Field, model_validator

from bhasa.export.targets import TARGETS, Gates
from bhasa.inference.config import SamplingConfig
from bhasa.params import Config


class ExportConfig(Config):
    """The section `export` of params.yaml."""

    targets: dict[str, Gates] = Field(
        min_length=1, default_factory=lambda: {name: Gates() for name in TARGETS}
    )
    """What to make (huggingface, onnx, onnx-int8), and the gates of each that are not to be its own."""
    documents: Annotated[int, Field(ge=1)] = 16
    """Test documents that each target reads next to the source model."""
    tokens: Annotated[int, Field(ge=16)] = 256
    """Of each of them, from its beginning; fewer where it is shorter."""
    license: str | None = None
    """Of the weights, as an SPDX name; it follows from the documents that they were trained on."""
    sampling: SamplingConfig = SamplingConfig(max_new_tokens=128, temperature=0.8, top_k=50, top_p=0.95)
    """How the registered model writes when a request does not say."""

    @model_validator(mode="after")
    def _known_targets(self) -> Self:
        for name in self.targets:
            if name not in TARGETS:
                raise ValueError(f"targets: found '{name}'; allowed: {', '.join(TARGETS)}")
        return self
