"""The architecture of a model: what its weights' shapes follow from, and how they are initialised."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from bhasa.params import Config

Positive = Annotated[int, Field(ge=1)]


class ModelConfig(Config):
    """Names are those of the official `MambaConfig` where it has one; defaults are its Mamba-1 values."""

    d_model: Annotated[int, Field(ge=8)]
    """Width of the residual stream."""
    n_layer: Positive
    """Number of blocks."""
    vocab_size: Annotated[int, Field(ge=2)] = 50280
    """Rows of the embedding; `pretrain` sets it to the tokenizer's size."""
    d_state: Positive = 16
    """State size per channel."""
    d_conv: Annotated[int, Field(ge=2, le=16)] = 4
    """Taps of the causal convolution."""
    expand: Positive = 2
    """Channels of the mixer are expand * d_model."""
    dt_rank: Positive | Literal["auto"] = "auto"
    """Rank of the projection that gives dt; auto is d_model / 16, rounded up."""
    d_intermediate: Annotated[int, Field(ge=0)] = 0
    """Width of a gated MLP after each mixer; 0 leaves it out."""
    norm: Literal["rms", "layer"] = "rms"
    """RMSNorm or LayerNorm."""
    norm_eps: Annotated[float, Field(gt=0, le=1e-2)] = 1e-5
    """Added to the variance under the root."""
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Share of each block's output that is dropped in training."""
    tie_embeddings: bool = True
    """Use the embedding as the output projection too."""
    use_bias: bool = False
    """Biases on in_proj and out_proj."""
    conv_bias: bool = True
    """Bias on the convolution."""
    dt_min: Annotated[float, Field(gt=0)] = 1e-3
    """Smallest initial step size."""
    dt_max: Annotated[float, Field(gt=0)] = 0.1
    """Largest initial step size."""
    dt_init_floor: Annotated[float, Field(gt=0)] = 1e-4
    """No initial step size lies below this."""
    initializer_range: Annotated[float, Field(gt=0, le=1)] = 0.02
    """Standard deviation of the initial embedding."""
    rescale_prenorm_residual: bool = True
    """Divide initial out_proj weights by the root of the number of residual additions."""

    @property
    def d_inner(self) -> int:
        return self.expand * self.d_model

    @property
    def resolved_dt_rank(self) -> int:
        return -(-self.d_model // 16) if self.dt_rank == "auto" else self.dt_rank

    def to_dict(self) -> dict[str, object]:
        """What peft asks of a model's configuration, by the names it knows."""
        return {"model_type": "mamba", "tie_word_embeddings": self.tie_embeddings}

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.dt_min > self.dt_max:
            raise ValueError(f"dt_min ({self.dt_min}) must not exceed dt_max ({self.dt_max})")
        if self.resolved_dt_rank > self.d_inner:
            raise ValueError(f"dt_rank ({self.dt_rank}) must not exceed expand * d_model ({self.d_inner})")
        return self
