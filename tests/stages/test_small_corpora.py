"""The stages on a folder of one file or a few, from documents to evaluation, with the shipped settings."""

from pathlib import Path
from typing import Any

import pytest

from benchmarks.corpora import prose
from bhasa.documents.config import IngestConfig
from bhasa.evaluation.config import EvaluateConfig, SamplingConfig
from bhasa.finetuning.config import FinetuneConfig
from bhasa.hardware import HardwareProfile
from bhasa.model.config import ModelConfig
from bhasa.stages import evaluate, finetune, ingest, pretrain, tokenize
from bhasa.tokens.config import TokenizeConfig
from bhasa.tracking import NullTracker
from bhasa.training.config import PretrainConfig, PretrainPreset

PRESETS = Path(__file__).parents[2] / "pipeline"
TRACKER = {"tracker": NullTracker()}


def run_all() -> dict[str, float]:
    """From data/raw to the evaluation's figures, with the shipped presets and few steps."""
    hardware = HardwareProfile.load(PRESETS / "hardware" / "cpu.yaml")
    ingest.run(
        IngestConfig.parse({"sources": [{"kind": "folder", "path": "data/raw"}]}, "test"),
        executor="processes",
        workers=1,
        raw=[Path("data/raw")],
        documents=Path("documents"),
        chat=Path("chat"),
        accounts=Path("accounts.parquet"),
        report=Path("ingest.json"),
        page=Path("data.html"),
        **TRACKER,
    )
    tokenize.run(
        TokenizeConfig.load(Path("params.yaml"), "tokenize"),
        documents=Path("documents"),
        chat=Path("chat"),
        tokenizer=Path("tokenizer"),
        tokens=Path("tokens"),
        report=Path("tokenize.json"),
        **TRACKER,
    )
    training: dict[str, Any] = {"seed": 1, "hardware": hardware, **TRACKER}
    pretrain.run(
        PretrainConfig(max_steps=2),
        architecture=ModelConfig.load(PRESETS / "model" / "debug.yaml"),
        preset=PretrainPreset.load(PRESETS / "training" / "default.yaml"),
        tokenizer=Path("tokenizer"),
        tokens=Path("tokens/documents"),
        base=Path("base"),
        report=Path("pretrain.json"),
        curves=Path("pretrain"),
        **training,
    )
    finetune.run(
        FinetuneConfig.load(Path("params.yaml"), "finetune").model_copy(update={"max_steps": 2}),
        base=Path("base"),
        tokens=Path("tokens/chat"),
        adapter=Path("adapter"),
        finetuned=Path("finetuned"),
        report=Path("finetune.json"),
        curves=Path("finetune"),
        **training,
    )
    return evaluate.run(
        EvaluateConfig(prompts=("The",), sampling=SamplingConfig(max_new_tokens=4)),
        profile=hardware,
        documents=Path("documents"),
        base=Path("base"),
        finetuned=Path("finetuned"),
        report=Path("evaluate.json"),
        details=Path("evaluation"),
        **TRACKER,
    )


@pytest.mark.slow
@pytest.mark.parametrize("sizes", [[1_000], [2_000] * 3, [300_000]], ids=str)
def test_a_few_files_are_a_corpus(workspace: Path, sizes: list[int]) -> None:
    raw = workspace / "data" / "raw"
    raw.mkdir(parents=True)
    for n, size in enumerate(sizes):
        (raw / f"{n}.txt").write_text(prose(n, size // 4)[:size])
    metrics = run_all()
    assert metrics["base.perplexity"] > 1
    assert metrics["finetuned.perplexity"] > 1
