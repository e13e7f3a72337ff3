import pytest
import torch

from bhasa.model.config import ModelConfig

VARIANTS = {
    "mamba": {},
    "untied": {"tie_embeddings": False},
    "layer-norm": {"norm": "layer"},
    "mlp": {"d_intermediate": 40},
    "biased": {"use_bias": True, "conv_bias": False},
    "mamba2": {"ssm": "mamba2", "headdim": 6},
    "mamba2-groups": {
        "ssm": "mamba2",
        "headdim": 12,
        "ngroups": 2,
        "dt_limit": (0.01, 0.06),
        "use_bias": True,
    },
    "attention": {"pattern": "*", "attention": {"num_heads": 4, "num_heads_kv": 2}},
    "window": {
        "pattern": "*",
        "use_bias": True,
        "attention": {"num_heads": 3, "head_dim": 6, "positions": "alibi", "window": 9},
    },
    "hybrid": {
        "pattern": "M*-M",
        "ssm": "mamba2",
        "headdim": 8,
        "d_intermediate": 16,
        "attention": {"num_heads": 2, "num_heads_kv": 1, "positions": "none"},
    },
    "all": {
        "d_intermediate": 24,
        "norm": "layer",
        "tie_embeddings": False,
        "use_bias": True,
        "expand": 3,
        "dt_rank": 5,
    },
}


@pytest.fixture(params=VARIANTS.values(), ids=VARIANTS, scope="session")
def config(request: pytest.FixtureRequest) -> ModelConfig:
    layers = 4 if request.param.get("pattern") == "M*-M" else 2
    return ModelConfig.parse(
        {"d_model": 24, "n_layer": layers, "vocab_size": 50, "d_state": 5, **request.param}, "a variant"
    )


@pytest.fixture
def ids() -> torch.Tensor:
    return torch.randint(50, (2, 70), generator=torch.Generator().manual_seed(0))
