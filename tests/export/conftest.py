from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from bhasa import bundle
from bhasa.model.config import ModelConfig
from bhasa.model.language_model import LanguageModel, build
from bhasa.tokens import tokenizer_files
from bhasa.tokens.config import BpeConfig
from bhasa.tokens.kinds import bpe

TEXT = "The river carried what the mountain gave, and the sea kept the account of both. " * 20

ARCHITECTURES: dict[str, dict[str, Any]] = {
    "tied": {},
    "untied": {"tie_embeddings": False, "use_bias": True, "conv_bias": False},
    "mlp": {"d_intermediate": 48},
    "layer-norm": {"norm": "layer"},
    "mamba2": {"ssm": "mamba2", "headdim": 16},
    "mamba2-groups": {
        **{"ssm": "mamba2", "headdim": 8, "ngroups": 2, "dt_limit": (0.01, 0.03)},
        **{"tie_embeddings": False, "use_bias": True, "conv_bias": False},
    },
    "attention": {"pattern": "*", "attention": {"num_heads": 4, "num_heads_kv": 2}},
    "attention-alibi": {
        "pattern": "*",
        "attention": {"num_heads": 6, "num_heads_kv": 3, "head_dim": 8, "positions": "alibi", "window": 5},
        "use_bias": True,
    },
    "attention-alone": {"pattern": "*", "attention": {"num_heads": 4, "window": 1}},
    "mixed": {"pattern": "M*", "attention": {"num_heads": 4, "num_heads_kv": 1, "positions": "none"}}
    | {"norm": "layer", "d_intermediate": 48},
    "hybrid": {"pattern": "2M*M-", "n_layer": 5, "ssm": "mamba2", "headdim": 16, "d_intermediate": 48}
    | {"attention": {"num_heads": 4, "num_heads_kv": 2, "window": 6}},
}


def architecture(name: str) -> ModelConfig:
    # A wide embedding lets an untrained model tell its tokens apart.
    values = {"d_model": 32, "n_layer": 2, "vocab_size": 300, "d_state": 8, "initializer_range": 0.3}
    return ModelConfig(**values | ARCHITECTURES[name])


@pytest.fixture(params=ARCHITECTURES)
def config(request: pytest.FixtureRequest) -> ModelConfig:
    return architecture(request.param)


@pytest.fixture(scope="session")
def tokenizer_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("export") / "tokenizer"
    tokenizer_files.save(bpe.make(BpeConfig(vocab_size=300), [TEXT]), folder)
    return folder


@pytest.fixture(scope="session")
def documents(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("documents")
    texts = ["Too short.", TEXT]
    sizes = [len(text.encode()) for text in texts]
    pq.write_table(pa.table({"text": texts, "bytes": sizes}), folder / "test-00000.parquet")
    return folder


@pytest.fixture(scope="session")
def models() -> dict[str, LanguageModel]:
    return {name: build(architecture(name), seed=0).eval() for name in ARCHITECTURES}


@pytest.fixture(scope="session")
def model_folders(
    models: dict[str, LanguageModel], tokenizer_folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("models")
    for name in ARCHITECTURES:
        bundle.save(root / name, models[name], tokenizer=tokenizer_folder, provenance={"seed": 0})
    return {name: root / name for name in ARCHITECTURES}


@pytest.fixture(params=ARCHITECTURES)
def model_and_folder(
    request: pytest.FixtureRequest, models: dict[str, LanguageModel], model_folders: dict[str, Path]
) -> tuple[LanguageModel, Path]:
    return models[request.param], model_folders[request.param]
