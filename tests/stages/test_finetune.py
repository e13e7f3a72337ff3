"""finetune in every precision, and the models that it makes through the stages after it."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from bhasa import bundle
from bhasa.errors import BhasaError
from bhasa.evaluation.config import EvaluateConfig
from bhasa.export.config import ExportConfig
from bhasa.export.targets import Gates
from bhasa.finetuning import adapters
from bhasa.finetuning.config import FinetuneConfig, LoraConfig
from bhasa.hardware import HardwareProfile
from bhasa.inference.config import SamplingConfig
from bhasa.model.config import ModelConfig
from bhasa.model.language_model import build
from bhasa.stages import evaluate, export, finetune
from bhasa.tokens import tokenizer_files
from bhasa.tokens.chat import render
from bhasa.tokens.config import BpeConfig
from bhasa.tokens.kinds import bpe
from bhasa.tokens.shard_writer import TokenDocument, write_tokens
from bhasa.tracking import NullTracker

TEXTS = [f"def number_{i}(x):\n    return x + {i}\n" * 4 for i in range(40)]
CONFIG = FinetuneConfig(
    context_length=32,
    tokens_per_step=128,
    learning_rate=0.05,
    validation_sequences=4,
    max_steps=12,
    adapter=LoraConfig(kind="lora", rank=4, alpha=16.0, targets=("all",)),
)


@pytest.fixture(scope="module")
def inputs(tmp_path_factory) -> Path:
    """A base of random weights, with conversations in tokens and test documents."""
    folder = tmp_path_factory.mktemp("inputs")
    tokenizer = bpe.make(BpeConfig(vocab_size=300), TEXTS)
    tokenizer_files.save(tokenizer, folder / "tokenizer")
    turns = [
        [{"role": "user", "content": f"number {i}?"}, {"role": "assistant", "content": f"x + {i}"}]
        for i in range(40)
    ]
    rendered = [render(tokenizer, conversation) for conversation in turns]
    chat = [TokenDocument(conversation.ids, 20, conversation.mask) for conversation in rendered]
    write_tokens(
        folder / "chat",
        {"train": chat[:30], "validation": chat[30:]},
        vocab_size=tokenizer.get_vocab_size(),
        tokenizer=folder / "tokenizer",
        masked=True,
    )
    config = ModelConfig(d_model=32, n_layer=4, vocab_size=tokenizer.get_vocab_size(), initializer_range=0.3)
    bundle.save(folder / "base", build(config, seed=0), tokenizer=folder / "tokenizer", provenance={})
    (folder / "documents").mkdir()
    sizes = pa.array([len(text.encode()) for text in TEXTS])
    pq.write_table(pa.table({"text": TEXTS, "bytes": sizes}), folder / "documents/test-00000.parquet")
    return folder


@pytest.fixture(autouse=True)
def _workspace(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))


def profile(precision="fp32", micro_batch=2):
    return HardwareProfile(device="cpu", precision=precision, micro_batch=micro_batch)


def tune(inputs, out, hardware, config=CONFIG):
    return finetune.run(
        config,
        seed=1,
        hardware=hardware,
        base=inputs / "base",
        tokens=inputs / "chat",
        adapter=out / "adapter",
        finetuned=out / "finetuned",
        report=out / "finetune.json",
        curves=out / "curves",
        tracker=NullTracker(),
    )


@pytest.mark.parametrize("micro_batch", [1, 4])
@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_half_precision_learns_and_merges(inputs, tmp_path, precision, micro_batch):
    metrics = tune(inputs, tmp_path, profile(precision, micro_batch))
    assert metrics["validation_loss"] < metrics["initial_validation_loss"]
    assert {p.dtype for p in bundle.load(tmp_path / "finetuned").parameters()} == {torch.float32}


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_what_was_tuned_in_half_precision_is_measured_and_exported(inputs, tmp_path, precision):
    hardware = profile(precision, 4)
    tune(inputs, tmp_path, hardware)
    figures = evaluate.run(
        EvaluateConfig(prompts=("def",), sampling=SamplingConfig(max_new_tokens=4, seed=1)),
        profile=hardware,
        documents=inputs / "documents",
        base=inputs / "base",
        finetuned=tmp_path / "finetuned",
        report=tmp_path / "evaluate.json",
        details=tmp_path / "details.json",
        tracker=NullTracker(),
    )
    assert figures["finetuned.perplexity"] > 1
    gates = Gates(logit_difference=1e-4)  # wide random weights round more than trained ones
    exported = export.run(
        ExportConfig(targets={"huggingface": gates, "onnx": gates}, tokens=32),
        documents=inputs / "documents",
        finetuned=tmp_path / "finetuned",
        export=tmp_path / "export",
        report=tmp_path / "export.json",
        tracker=NullTracker(),
    )
    assert exported["onnx.same_argmax"] == 1


def forget_one(adapted):
    """Merge, but for one adapter."""
    adapted.base_model.model.backbone.layers[2].mixer.x_proj.lora_B["default"].weight.data.zero_()
    return adapted.merge_and_unload()


def test_a_merge_that_bypasses_an_adapter_is_found_and_publishes_nothing(inputs, tmp_path, monkeypatch):
    monkeypatch.setattr(adapters, "merge", forget_one)
    with pytest.raises(BhasaError, match="an adapter is bypassed"):
        tune(inputs, tmp_path, profile())
    assert not (tmp_path / "adapter").exists()
    assert not (tmp_path / "finetuned").exists()
    assert list((tmp_path / ".bhasa").rglob("step-*")), "the training is not lost"


def test_fresh_adapters_that_change_something_are_found_before_training(inputs, tmp_path, monkeypatch):
    attach = adapters.attach

    def attach_wrong(model, config, *, seed):
        adapted = attach(model, config, seed=seed)
        model.backbone.layers[0].mixer.in_proj.lora_B["default"].weight.data.fill_(0.01)
        return adapted

    monkeypatch.setattr(adapters, "attach", attach_wrong)
    with pytest.raises(BhasaError, match="an adapter is bypassed"):
        tune(inputs, tmp_path, profile())
    assert not (tmp_path / ".bhasa").exists()
