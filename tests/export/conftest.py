from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from bhasa import bundle
from bhasa.model.config import ModelConfig
from bhasa.model.language_model import build
from bhasa.tokens import bpe
from bhasa.tokens.config import TokenizeConfig

TEXT = "The river carried what the mountain gave, and the sea kept the account of both. " * 20

ARCHITECTURES = {
    "tied": {},
    "untied": {"tie_embeddings": False, "use_bias": True, "conv_bias": False},
    "mlp": {"d_intermediate": 48},
    "layer-norm": {"norm": "layer"},
}


def _config(name: str) -> ModelConfig:
    # A wide embedding lets an untrained model tell its tokens apart.
    values = {"d_model": 32, "n_layer": 2, "vocab_size": 300, "d_state": 8, "initializer_range": 0.3}
    return ModelConfig(**values | ARCHITECTURES[name])


@pytest.fixture(params=ARCHITECTURES)
def config(request: pytest.FixtureRequest) -> ModelConfig:
    return _config(request.param)


@pytest.fixture(scope="session")
def tokenizer_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("export") / "tokenizer"
    bpe.save(bpe.train([TEXT], TokenizeConfig(vocab_size=300)), folder)
    return folder


@pytest.fixture(scope="session")
def documents(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("documents")
    texts = ["Too short.", TEXT]
    sizes = [len(text.encode()) for text in texts]
    pq.write_table(pa.table({"text": texts, "bytes": sizes}), folder / "test-00000.parquet")
    return folder


@pytest.fixture(scope="session")
def model_folders(tokenizer_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("models")
    for name in ARCHITECTURES:
        model = build(_config(name), seed=0).eval()
        bundle.save(root / name, model, tokenizer=tokenizer_folder, provenance={"seed": 0})
    return {name: root / name for name in ARCHITECTURES}
