"""Every kind of tokenizer, mix and kind of rows carries a model through training and generation."""

import json
from pathlib import Path
from typing import Any

import pytest
import sentencepiece

from bhasa import bundle
from bhasa.errors import UserError
from bhasa.hardware import HardwareProfile
from bhasa.inference import text
from bhasa.inference.generate import generate
from bhasa.inference.sampling import SamplingConfig
from bhasa.model.config import ModelConfig
from bhasa.stages import pretrain
from bhasa.tokens import encoding, kinds, tokenizer_files
from bhasa.tokens.config import BytesConfig, TokenizeConfig
from bhasa.tokens.shard_writer import TokenDocument, write_tokens
from bhasa.tracking import NullTracker
from bhasa.training.config import PretrainConfig, PretrainPreset

TEXTS = [f"def number_{i}(x):\n    return x + {i}  # na\u00efve\n" * 4 for i in range(24)]
PRESET: dict[str, Any] = {
    "context_length": 16,
    "tokens_per_step": 64,
    "tokens": 128,
    "learning_rate": 0.01,
    "validation_sequences": 2,
}


@pytest.fixture(autouse=True)
def _workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))


def prepare(folder: Path, config: Any) -> None:
    tokenizer = kinds.make(config, TEXTS)
    tokenizer_files.save(tokenizer, folder / "tokenizer")
    encoded = encoding.encode_documents(tokenizer, TEXTS)
    documents = [
        TokenDocument(ids, len(text), domain="ab"[number % 2])
        for number, (ids, text) in enumerate(zip(encoded, TEXTS, strict=True))
    ]
    write_tokens(
        folder / "tokens",
        {"train": documents[:16], "validation": documents[16:]},
        vocab_size=tokenizer.get_vocab_size(),
        tokenizer=folder / "tokenizer",
        masked=False,
    )


def train(folder: Path, mix: dict[str, float] | None = None, **changed: Any) -> None:
    pretrain.run(
        PretrainConfig(max_steps=2),
        seed=1,
        mix=mix,
        architecture=ModelConfig(d_model=16, n_layer=1),
        hardware=HardwareProfile(device="cpu", precision="fp32", micro_batch=2),
        preset=PretrainPreset(**PRESET | changed),
        tokenizer=folder / "tokenizer",
        tokens=folder / "tokens",
        base=folder / "base",
        report=folder / "report.json",
        curves=folder / "curves",
        tracker=NullTracker(),
    )


def config_of(kind: str, folder: Path) -> Any:
    values: dict[str, Any] = {"kind": kind}
    if kind == "sentencepiece":
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=iter(TEXTS[0].splitlines() * 9),
            model_prefix=str(folder / "tokenizer"),
            model_type="bpe",
            byte_fallback=True,
            normalization_rule_name="identity",
            remove_extra_whitespaces=False,
            vocab_size=290,
            minloglevel=2,
        )
        values["path"] = str(folder / "tokenizer.model")
    if kind == "huggingface":
        tokenizer_files.save(kinds.make(BytesConfig(kind="bytes"), ()), folder / "published")
        values["path"] = str(folder / "published")
    return TokenizeConfig.parse({"tokenizer": values}, "here").tokenizer


@pytest.mark.parametrize("kind", kinds.KINDS)
def test_a_model_is_trained_and_writes_text_with_every_kind(kind: str, tmp_path: Path) -> None:
    prepare(tmp_path, config_of(kind, tmp_path))
    train(tmp_path)
    model, tokenizer = bundle.load(tmp_path / "base"), bundle.load_tokenizer(tmp_path / "base")
    ids = text.document_ids(tokenizer, "def na\u00efve")
    written = list(generate(model, ids, SamplingConfig(max_new_tokens=5, seed=1)))
    assert 0 < len(written) <= 5
    assert isinstance("".join(text.stream(tokenizer, written)), str)


@pytest.mark.parametrize("rows", ["packed", "documents", "streams"])
def test_every_kind_of_rows_trains(rows: str, tmp_path: Path) -> None:
    prepare(tmp_path, BytesConfig(kind="bytes"))
    train(tmp_path, rows=rows)
    assert json.loads((tmp_path / "base/provenance.json").read_text())["pretrain"]["rows"] == rows


def test_a_mix_changes_what_is_learned_and_stands_in_the_provenance(tmp_path: Path) -> None:
    prepare(tmp_path, BytesConfig(kind="bytes"))
    hashes = []
    for mix in (None, {"a": 1.0, "b": 0.0}, {"a": 0.0, "b": 1.0}):
        train(tmp_path, mix)
        hashes.append(bundle.weights_sha256(tmp_path / "base"))
        assert json.loads((tmp_path / "base/provenance.json").read_text())["mix"] == mix
    assert len(set(hashes)) == 3
    with pytest.raises(UserError, match=r"ingest.mix: b: missing; .*tokens \(train\) has the domains a, b"):
        train(tmp_path, {"a": 1.0})
