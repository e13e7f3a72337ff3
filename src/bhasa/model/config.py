"""The architecture of a model: what its weights' shapes follow from, and how they are initialised."""

from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from bhasa.model.mixers import MIXERS, STATE_SPACE, state_space_mixers
from bhasa.model.pattern import MLP, letters_of
from bhasa.params import Config

Positive = Annotated[int, Field(ge=1)]


def _state_space(name: str) -> str:
    if name not in state_space_mixers():
        raise ValueError(f"allowed: {', '.join(state_space_mixers())}")
    return name


class AttentionConfig(Config):
    """What the `*` layers of a pattern are; names are those of the official `MHA`."""

    num_heads: Positive = 8
    """Heads of the queries."""
    num_heads_kv: Positive | None = None
    """Heads of keys and values, each shared by as many queries' (Ainslie et al. 2023); null: one each."""
    head_dim: Annotated[int, Field(ge=2, multiple_of=2)] | None = None
    """Width of a head; null: d_model / num_heads."""
    positions: Literal["rope", "alibi", "none"] = "rope"
    """Where a token's position enters: queries and keys, a bias by distance, or other layers alone."""
    rope_theta: Annotated[float, Field(gt=1)] = 10_000.0
    """The longest wavelength of the rotations is 2 pi times this, in tokens."""
    window: Positive | None = None
    """A token attends to itself and the window - 1 before it; null: to all before it."""

    @property
    def resolved_heads_kv(self) -> int:
        return self.num_heads_kv or self.num_heads

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.num_heads % self.resolved_heads_kv:
            raise ValueError(
                f"num_heads ({self.num_heads}) must be a multiple of num_heads_kv ({self.num_heads_kv})"
            )
        return self


class ModelConfig(Config):
    """Names are those of the official `MambaConfig` where it has one; defaults are its Mamba-1 values."""

    d_model: Annotated[int, Field(ge=8)]
    """Width of the residual stream."""
    n_layer: Positive
    """Number of blocks."""
    pattern: str = "M"
    """What the blocks mix with, in order: M state space, * attention, - MLP; `3M*` is `MMM*`, and all is
    repeated until there are n_layer."""
    ssm: Annotated[str, AfterValidator(_state_space)] = "mamba"
    """What M stands for."""
    attention: AttentionConfig = AttentionConfig()
    """What * stands for."""
    vocab_size: Annotated[int, Field(ge=2)] = 50280
    """Rows of the embedding; `pretrain` sets it to the tokenizer's size."""
    d_state: Positive = 16
    """State size per channel; Mamba-2 uses 64 to 256."""
    d_conv: Annotated[int, Field(ge=2, le=16)] = 4
    """Taps of the causal convolution."""
    expand: Positive = 2
    """Channels of the mixer are expand * d_model."""
    dt_rank: Positive | Literal["auto"] = "auto"
    """Mamba-1: rank of the projection that gives dt; auto is d_model / 16, rounded up."""
    headdim: Positive = 64
    """Mamba-2: channels of a head, which share one step size."""
    ngroups: Positive = 1
    """Mamba-2: groups of heads that share B and C."""
    dt_limit: tuple[Annotated[float, Field(ge=0)], Annotated[float, Field(gt=0)]] | None = None
    """Mamba-2: step sizes are cut off below and above; null leaves them."""
    d_intermediate: Annotated[int, Field(ge=0)] = 0
    """Width of the gated MLPs: those that the pattern names, or else one after each mixer; 0: none."""
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

    @property
    def nheads(self) -> int:
        """Mamba-2: heads of the state-space mixer."""
        return self.d_inner // self.headdim

    @property
    def head_dim(self) -> int:
        """Width of a head of attention."""
        return self.attention.head_dim or self.d_model // self.attention.num_heads

    @property
    def layers(self) -> tuple[str, ...]:
        """The name of each block's mixer, from first to last."""
        names = {kind.letter: name for name, kind in MIXERS.items()} | {STATE_SPACE: self.ssm}
        letters = letters_of(self.pattern)
        return tuple(names[letter] for letter in letters * (self.n_layer // len(letters)))

    @property
    def mlp_after_mixer(self) -> bool:
        """Whether each block has an MLP of its own after its mixer."""
        return self.d_intermediate > 0 and MLP not in self.pattern

    @property
    def residual_additions(self) -> int:
        """How often something is added to the residual stream."""
        return self.n_layer * (2 if self.mlp_after_mixer else 1)

    def to_dict(self) -> dict[str, object]:
        """What peft asks of a model's configuration, by the names it knows."""
        return {"model_type": self.ssm, "tie_word_embeddings": self.tie_embeddings}

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.dt_min > self.dt_max:
            raise ValueError(f"dt_min ({self.dt_min}) must not exceed dt_max ({self.dt_max})")
        if self.dt_limit and self.dt_limit[0] > self.dt_limit[1]:
            raise ValueError(f"dt_limit: {self.dt_limit[0]} must not exceed {self.dt_limit[1]}")
        letters = letters_of(self.pattern)
        if self.n_layer % len(letters):
            raise ValueError(
                f"n_layer ({self.n_layer}) must be a multiple of the pattern's {len(letters)} layers "
                f"({self.pattern})"
            )
        self._consistent_mixers(letters)
        return self

    def _consistent_mixers(self, letters: str) -> None:
        if MLP in letters and not self.d_intermediate:
            raise ValueError(
                f"pattern ({self.pattern}) has MLPs, so d_intermediate must say how wide they are"
            )
        if STATE_SPACE in letters and self.ssm == "mamba" and self.resolved_dt_rank > self.d_inner:
            raise ValueError(f"dt_rank ({self.dt_rank}) must not exceed expand * d_model ({self.d_inner})")
        if STATE_SPACE in letters and self.ssm == "mamba2":
            if self.d_inner % self.headdim:
                raise ValueError(
                    f"expand * d_model ({self.d_inner}) must be a multiple of headdim ({self.headdim})"
                )
            if self.nheads % self.ngroups:
                raise ValueError(f"{self.nheads} heads must be a multiple of ngroups ({self.ngroups})")
        if "*" in letters and not self.attention.head_dim and self.d_model % (2 * self.attention.num_heads):
            raise ValueError(
                f"d_model ({self.d_model}) must be an even multiple of attention.num_heads "
                f"({self.attention.num_heads}), or attention.head_dim be given"
            )
