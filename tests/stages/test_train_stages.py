"""pretrain and finetune from token folders to model folders, on texts made here."""

import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from bhasa import bundle, journal
from bhasa.errors import UserError
from bhasa.finetuning.config import FinetuneConfig, LoraConfig
from bhasa.hardware import HardwareProfile
from bhasa.model.config import ModelConfig
from bhasa.stages import finetune, pretrain
from bhasa.tokens import encoding, tokenizer_files
from bhasa.tokens.chat import render
from bhasa.tokens.config import BpeConfig
from bhasa.tokens.kinds import bpe
from bhasa.tokens.shard_writer import TokenDocument, write_tokens
from bhasa.tracking import NullTracker
from bhasa.training.config import PretrainConfig, PretrainPreset
from bhasa.training.run_folder import RunFolder

HARDWARE = HardwareProfile(device="cpu", precision="fp32", micro_batch=2)
TEXTS = [f"def number_{i}(x):\n    return x + {i}\n" * 4 for i in range(40)]
SHARED = {
    "context_length": 32,
    "tokens_per_step": 128,
    "learning_rate": 0.01,
    "validation_sequences": 4,
    "checkpoint_every": 2,
}


@pytest.fixture(scope="module")
def inputs(tmp_path_factory) -> Path:
    """A tokenizer, and documents and conversations in tokens."""
    folder = tmp_path_factory.mktemp("inputs")
    tokenizer = bpe.make(BpeConfig(vocab_size=300), TEXTS)
    tokenizer_files.save(tokenizer, folder / "tokenizer")
    documents = [
        TokenDocument(ids, len(text))
        for ids, text in zip(encoding.encode_documents(tokenizer, TEXTS), TEXTS, strict=True)
    ]
    conversations = []
    for i in range(40):
        turns = [{"role": "user", "content": f"number {i}?"}, {"role": "assistant", "content": f"x + {i}"}]
        rendered = render(tokenizer, turns)
        conversations.append(TokenDocument(rendered.ids, 20, rendered.mask))
    for name, rows, masked in (("documents", documents, False), ("chat", conversations, True)):
        write_tokens(
            folder / name,
            {"train": rows[:30], "validation": rows[30:35], "test": rows[35:]},
            vocab_size=tokenizer.get_vocab_size(),
            tokenizer=folder / "tokenizer",
            masked=masked,
        )
    return folder


@pytest.fixture(autouse=True)
def _workspace(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))


def run_pretrain(inputs: Path, out: Path, **changed) -> dict:
    options = {"tokenizer": inputs / "tokenizer", "tokens": inputs / "documents", "hardware": HARDWARE}
    return pretrain.run(
        PretrainConfig(max_steps=6),
        seed=1,
        architecture=ModelConfig(d_model=16, n_layer=2),
        preset=PretrainPreset(**SHARED, tokens=10_000, validate_every=3),
        base=out / "base",
        report=out / "pretrain.json",
        curves=out / "pretrain",
        **({"tracker": NullTracker()} | options | changed),
    )


def run_finetune(inputs: Path, out: Path, **changed) -> dict:
    config = FinetuneConfig(
        **SHARED,
        adapter=LoraConfig(kind="lora", rank=2, alpha=4.0, targets=("in_proj", "out_proj")),
        max_steps=4,
        validate_every=2,
    )
    options = {"base": out / "base", "tokens": inputs / "chat", "hardware": HARDWARE}
    return finetune.run(
        changed.pop("config", config),
        seed=1,
        adapter=out / "adapter",
        finetuned=out / "finetuned",
        report=out / "finetune.json",
        curves=out / "finetune",
        **({"tracker": NullTracker()} | options | changed),
    )


def test_both_stages_learn_and_repeat_to_the_byte(inputs, tmp_path):
    hashes = []
    for attempt in ("first", "second"):
        out = tmp_path / attempt
        learnt = run_pretrain(inputs, out)
        base = Path(shutil.copytree(out / "base", tmp_path / "base", dirs_exist_ok=True))
        tuned = run_finetune(inputs, out, base=base)
        hashes.append(journal.sha256_folder(out))
        assert learnt["validation_loss"] < learnt["initial_validation_loss"]
        assert learnt["parameters"] == bundle.load(out / "base").num_parameters()
        assert tuned["validation_loss"] < tuned["initial_validation_loss"]
    assert hashes[0] == hashes[1]
    assert not list((tmp_path / ".bhasa/ckpt").glob("*/*")), "state of finished runs must go"


@pytest.fixture
def observe(monkeypatch):
    """A function that lists the steps recorded from now on, and interrupts the run at one of them."""
    record = RunFolder.record

    def start(interrupt_at=None):
        steps = []

        def observed(run, step, **values):
            record(run, step, **values)
            if "loss" in values:
                steps.append(step)
                if step == interrupt_at:
                    raise KeyboardInterrupt

        monkeypatch.setattr(RunFolder, "record", observed)
        return steps

    return start


def test_interrupted_stages_go_on_from_their_checkpoint_to_the_same_bytes(inputs, tmp_path, observe):
    straight, resumed = tmp_path / "straight", tmp_path / "resumed"
    run_pretrain(inputs, straight)
    base = Path(shutil.copytree(straight / "base", tmp_path / "base"))
    run_finetune(inputs, straight, base=base)
    for run, paths in ((run_pretrain, {}), (run_finetune, {"base": base})):
        observe(interrupt_at=3)
        with pytest.raises(KeyboardInterrupt):
            run(inputs, resumed, **paths)
        steps = observe()
        run(inputs, resumed, **paths)
        assert steps[0] == 3  # the newest checkpoint is of step 2
    assert journal.sha256_folder(straight) == journal.sha256_folder(resumed)


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_a_base_learns_in_half_precision_and_is_written_in_full(inputs, tmp_path, precision):
    hardware = HARDWARE.model_copy(update={"precision": precision})
    half = run_pretrain(inputs, tmp_path / "half", hardware=hardware)
    full = run_pretrain(inputs, tmp_path / "full")
    assert half["validation_loss"] < half["initial_validation_loss"]
    assert half["validation_loss"] == pytest.approx(full["validation_loss"], rel=0.02)
    assert half["validation_loss"] != full["validation_loss"]
    weights = load_file(tmp_path / "half/base" / bundle.WEIGHTS)
    assert {tensor.dtype for tensor in weights.values()} == {torch.float32}
    provenance = journal.read_json(tmp_path / "half/base" / bundle.PROVENANCE)
    assert provenance["hardware"]["precision"] == precision


def test_a_failure_to_write_the_model_costs_no_training(inputs, tmp_path, observe):
    (tmp_path / "out").write_text("a file where a folder must be")
    with pytest.raises(OSError, match="out"):
        run_pretrain(inputs, tmp_path / "out")
    (tmp_path / "out").unlink()
    steps = observe()
    assert run_pretrain(inputs, tmp_path / "out")["steps"] == 6
    assert steps == []


def test_the_curves_hold_every_step(inputs, tmp_path):
    run_pretrain(inputs, tmp_path)
    rows = (tmp_path / "pretrain/train.csv").read_text().splitlines()
    assert rows[0] == "step,loss,learning_rate,grad_norm"
    assert [row.split(",")[0] for row in rows[1:]] == ["1", "2", "3", "4", "5", "6"]
    validations = (tmp_path / "pretrain/validation.csv").read_text().splitlines()[1:]
    assert [row.split(",")[0] for row in validations] == ["0", "3", "6"]


def test_provenance_names_what_the_model_was_made_from(inputs, tmp_path):
    run_pretrain(inputs, tmp_path)
    provenance = journal.read_json(tmp_path / "base" / bundle.PROVENANCE)
    assert provenance["tokens_sha256"] == journal.sha256_file(inputs / "documents" / "index.json")
    assert provenance["pretrain"]["steps"] == 6
    assert provenance["threads"] >= 1


def test_missing_tokens_are_named_and_nothing_is_written(inputs, tmp_path):
    with pytest.raises(UserError, match=r"nowhere/index.json: no such file"):
        run_pretrain(inputs, tmp_path / "out", tokens=tmp_path / "nowhere")
    assert not (tmp_path / "out").exists()


def test_a_truncated_shard_is_named(inputs, tmp_path):
    copy = Path(shutil.copytree(inputs / "documents", tmp_path / "documents"))
    shard = copy / "train-00000.npy"
    shard.write_bytes(shard.read_bytes()[:-20])
    with pytest.raises(UserError, match=r"train-00000.npy: truncated"):
        run_pretrain(inputs, tmp_path / "out", tokens=copy)


def test_an_id_beyond_the_rows_of_the_model_is_named_before_training(inputs, tmp_path):
    run_pretrain(inputs, tmp_path)
    copy = Path(shutil.copytree(inputs / "chat", tmp_path / "chat"))
    index = journal.read_json(copy / "index.json")
    index["splits"]["validation"]["shards"][0]["max_id"] = 70_000
    journal.write_json(copy / "index.json", index | {"vocab_size": 80_000})
    with pytest.raises(UserError, match=r"chat: validation: token id 70,000 is beyond the \d+ rows"):
        run_finetune(inputs, tmp_path, tokens=copy)
    assert not (tmp_path / "adapter").exists()


def test_a_missing_base_is_named(inputs, tmp_path):
    shutil.copytree(inputs / "tokenizer", tmp_path / "base")
    with pytest.raises(UserError, match=r"base/config.json: no such file"):
        run_finetune(inputs, tmp_path)


def test_threads_are_set_once_a_stage_and_not_in_each_step(inputs, tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr("torch.set_num_threads", asked.append)
    hardware = HARDWARE.model_copy(update={"threads": 1})
    run_pretrain(inputs, tmp_path, hardware=hardware)
    base = Path(shutil.copytree(tmp_path / "base", tmp_path / "copy"))
    run_finetune(inputs, tmp_path, base=base, hardware=hardware)
    assert asked == [1, 1]
