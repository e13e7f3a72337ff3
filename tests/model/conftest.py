import pytest
import torch

from bhasa.model.config import ModelConfig

VARIANTS = {
    "mamba": {},
    "untied": {"tie_embeddings": False},
    "layer-norm": {"norm": "layer"},
    "mlp": {"d_intermediate": 40},
    "biased": {"use_bias": True, "conv_bias": False},
    "all": {
        "d_intermediate": 24,
        "norm": "layer",
        "tie_embeddings": False,
        "use_bias": True,
        "expand": 3,
        "dt_rank": 5,
    },
}


@pytest.fixture(params=VARIANTS.values(), ids=VARIANTS)
def config(request: pytest.FixtureRequest) -> ModelConfig:
    return ModelConfig(d_model=24, n_layer=2, vocab_size=50, d_state=5, **request.param)


@pytest.fixture
def ids() -> torch.Tensor:
    return torch.randint(50, (2, 70), generator=torch.Generator().manual_seed(0))
