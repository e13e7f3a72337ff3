"""pretrain.init_from: a model of ours or from elsewhere is taken over or trained on."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from tokenizers import Tokenizer
from tokenizers.decoders import ByteLevel as ByteLevelDecoder
from tokenizers.models import BPE
from tokenizers.pre_tokenizers import ByteLevel
from tokenizers.trainers import BpeTrainer

from bhasa import bundle, journal
from bhasa.bundle.official import to_official
from bhasa.bundle.weights import official_names
from bhasa.errors import UserError
from bhasa.finetuning.config import FinetuneConfig, LoraConfig
from bhasa.hardware import HardwareProfile
from bhasa.model.config import ModelConfig
from bhasa.model.language_model import build
from bhasa.stages import finetune, pretrain
from bhasa.tokens import encoding, tokenizer_files
from bhasa.tokens.chat import render
from bhasa.tokens.foreign_tokenizer import open_foreign
from bhasa.tokens.shard_writer import TokenDocument, write_tokens
from bhasa.tracking import NullTracker
from bhasa.training.config import PretrainConfig, PretrainPreset
from bhasa.training.run_folder import RunFolder

HARDWARE = HardwareProfile(device="cpu", precision="fp32", micro_batch=2)
TEXTS = [f"def number_{i}(x):\n    return x + {i}\n" * 4 for i in range(30)]
SHARED = {
    "context_length": 32,
    "tokens_per_step": 128,
    "learning_rate": 0.01,
    "validation_sequences": 4,
    "checkpoint_every": 2,
}
CONFIG = ModelConfig(
    d_model=16, n_layer=2, vocab_size=304, ssm="mamba2", headdim=8, d_state=8, initializer_range=0.2
)


@pytest.fixture(scope="module")
def source(tmp_path_factory) -> Path:
    """A folder as state-spaces publishes, with a tokenizer like GPT-NeoX's and rows to fill up."""
    folder = tmp_path_factory.mktemp("source")
    tokenizer = Tokenizer(BPE())
    tokenizer.pre_tokenizer, tokenizer.decoder = ByteLevel(add_prefix_space=False), ByteLevelDecoder()
    trainer = BpeTrainer(
        vocab_size=299,
        special_tokens=["<|endoftext|>", "<|padding|>"],
        initial_alphabet=sorted(ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(TEXTS, trainer)
    tokenizer.add_tokens(["    "])
    tokenizer.save(str(folder / "tokenizer.json"))
    torch.save(official_names(build(CONFIG, seed=3).state_dict()), folder / "pytorch_model.bin")
    (folder / "config.json").write_text(json.dumps(to_official(CONFIG)))
    return folder


@pytest.fixture(scope="module")
def inputs(source, tmp_path_factory) -> Path:
    """What `tokenize` makes with the tokenizer of `source`."""
    folder = tmp_path_factory.mktemp("inputs")
    tokenizer = open_foreign(source).tokenizer
    tokenizer_files.save(tokenizer, folder / "tokenizer")
    documents = [TokenDocument(ids, 1) for ids in encoding.encode_documents(tokenizer, TEXTS)]
    talk = [{"role": "user", "content": "number?"}, {"role": "assistant", "content": "return x"}]
    rendered = render(tokenizer, talk)
    conversations = [TokenDocument(rendered.ids, 1, rendered.mask)] * len(TEXTS)
    for name, rows, masked in (("documents", documents, False), ("chat", conversations, True)):
        write_tokens(
            folder / name,
            {"train": rows[:20], "validation": rows[20:]},
            vocab_size=tokenizer.get_vocab_size(),
            tokenizer=folder / "tokenizer",
            masked=masked,
        )
    return folder


@pytest.fixture(autouse=True)
def _workspace(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))


def run(inputs: Path, out: Path, source: Path, max_steps: int = 4, **changed) -> dict:
    options = {"tokenizer": inputs / "tokenizer", "tokens": inputs / "documents", "tracker": NullTracker()}
    return pretrain.run(
        PretrainConfig(max_steps=max_steps, init_from=str(source)),
        seed=1,
        architecture=ModelConfig(d_model=48, n_layer=5),
        hardware=HARDWARE,
        preset=PretrainPreset(**SHARED, tokens=10_000, validate_every=2),
        base=out / "base",
        report=out / "pretrain.json",
        curves=out / "curves",
        **(options | changed),
    )


def test_a_model_is_taken_over_as_it_is(inputs, source, tmp_path):
    metrics = run(inputs, tmp_path, source, max_steps=0)
    assert metrics["steps"] == 0
    assert metrics["initial_validation_loss"] == metrics["validation_loss"]
    assert metrics.items() <= journal.read_json(tmp_path / "pretrain.json").items()
    assert (tmp_path / "curves/train.csv").read_text() == "step,loss,learning_rate,grad_norm\n"
    assert (tmp_path / "curves/validation.csv").read_text().count("\n") == 2
    assert (tmp_path / "curves/loss.png").is_file()
    before, after = bundle.load(source), bundle.load(tmp_path / "base")
    assert after.config == CONFIG.model_copy(update={"dt_rank": 1, "initializer_range": 0.02})
    for name, tensor in after.state_dict().items():
        if "embeddings" not in name and "lm_head" not in name:
            assert torch.equal(tensor, before.state_dict()[name]), name


def test_an_id_beyond_the_rows_of_the_model_is_named_before_training(inputs, source, tmp_path):
    copy = Path(shutil.copytree(inputs / "documents", tmp_path / "documents"))
    index = journal.read_json(copy / "index.json")
    index["splits"]["train"]["shards"][0]["max_id"] = 70_000
    journal.write_json(copy / "index.json", index | {"vocab_size": 80_000})
    with pytest.raises(UserError, match=r"documents: train: token id 70,000 is beyond the \d+ rows"):
        run(inputs, tmp_path, source, tokens=copy)


@torch.no_grad()
def test_it_predicts_of_a_text_what_it_predicted_with_its_own_tokens(inputs, source, tmp_path):
    run(inputs, tmp_path, source, max_steps=0)
    losses = []
    for folder in (source, tmp_path / "base"):
        ids = bundle.load_tokenizer(folder).encode(TEXTS[0], add_special_tokens=False).ids
        log_p = bundle.load(folder)(torch.tensor([[0, *ids]]))[0][0].log_softmax(-1)
        losses.append(log_p[range(len(ids)), ids])
    # Four rows that only filled up are special tokens now, so the sums over the vocabulary differ a little.
    torch.testing.assert_close(losses[0], losses[1], rtol=0, atol=0.1)
    assert losses[0].std() > 0.5


def test_training_goes_on_from_there_and_says_what_is_used(inputs, source, tmp_path, capsys):
    before = journal.sha256_folder(source)
    taken = run(inputs, tmp_path / "taken", source, max_steps=0)
    learnt = run(inputs, tmp_path / "learnt", source)
    assert learnt["initial_validation_loss"] == taken["validation_loss"]
    assert learnt["validation_loss"] < taken["validation_loss"]
    assert learnt["steps"] == 4
    said = capsys.readouterr().err
    assert f"starts from {source} (2 layers of mamba2, width 16, 304 rows); model.size is not used" in said
    assert journal.sha256_folder(source) == before
    provenance = journal.read_json(tmp_path / "learnt/base" / bundle.PROVENANCE)
    assert provenance["init_from_sha256"] == journal.sha256_file(source / "pytorch_model.bin")


def test_a_model_of_ours_is_trained_on_as_it_was(inputs, source, tmp_path):
    run(inputs, tmp_path / "first", source)
    first = bundle.load(tmp_path / "first/base").state_dict()
    run(inputs, tmp_path / "second", tmp_path / "first/base", max_steps=0)
    second = bundle.load(tmp_path / "second/base").state_dict()
    assert all(torch.equal(second[name], tensor) for name, tensor in first.items())
    for name in ("tokenizer.json", "model.safetensors", "config.json"):
        copies = [(tmp_path / run / "base" / name).read_bytes() for run in ("first", "second")]
        assert copies[0] == copies[1], name


def test_a_run_that_was_stopped_goes_on_and_not_from_another_models_state(
    inputs, source, tmp_path, monkeypatch
):
    record = RunFolder.record

    def interrupted(training, step, **values):
        record(training, step, **values)
        if "loss" in values and step == 3:
            raise KeyboardInterrupt

    run(inputs, tmp_path / "straight", source)
    with monkeypatch.context() as patch:
        patch.setattr(RunFolder, "record", interrupted)
        with pytest.raises(KeyboardInterrupt):
            run(inputs, tmp_path / "resumed", source)
    other = Path(shutil.copytree(source, tmp_path / "other"))
    torch.save(official_names(build(CONFIG, seed=4).state_dict()), other / "pytorch_model.bin")
    assert run(inputs, tmp_path / "third", other) != run(inputs, tmp_path / "resumed", source)
    assert journal.sha256_folder(tmp_path / "straight") == journal.sha256_folder(tmp_path / "resumed")


def test_what_was_taken_over_is_tuned_like_any_base(inputs, source, tmp_path):
    run(inputs, tmp_path, source, max_steps=0)
    tuned = finetune.run(
        FinetuneConfig(
            **SHARED,
            adapter=LoraConfig(kind="lora", rank=2, alpha=4.0, targets=("in_proj", "out_proj")),
            max_steps=4,
            validate_every=2,
        ),
        seed=1,
        hardware=HARDWARE,
        base=tmp_path / "base",
        tokens=inputs / "chat",
        adapter=tmp_path / "adapter",
        finetuned=tmp_path / "finetuned",
        report=tmp_path / "finetune.json",
        curves=tmp_path / "finetune",
        tracker=NullTracker(),
    )
    assert tuned["validation_loss"] < tuned["initial_validation_loss"]
    assert bundle.load_tokenizer(tmp_path / "finetuned").token_to_id("<|user|>") == 1


def test_tokens_of_another_tokenizer_are_refused(inputs, source, tmp_path):
    other = Path(shutil.copytree(source, tmp_path / "other"))
    tokenizer = Tokenizer.from_file(str(other / "tokenizer.json"))
    tokenizer.add_tokens(["return"])
    tokenizer.save(str(other / "tokenizer.json"))
    with pytest.raises(UserError, match=r"not the tokenizer of pretrain.init_from .*dvc repro -f tokenize"):
        run(inputs, tmp_path / "out", other)
    assert not (tmp_path / "out").exists()


def test_a_tokenizer_with_more_tokens_than_rows_is_refused(inputs, source, tmp_path):
    other = Path(shutil.copytree(source, tmp_path / "other"))
    small = CONFIG.model_copy(update={"vocab_size": 290})
    torch.save(official_names(build(small, seed=3).state_dict()), other / "pytorch_model.bin")
    (other / "config.json").write_text(json.dumps(to_official(small)))
    with pytest.raises(UserError, match="the tokenizer has 300 tokens, the weights rows for 290"):
        run(inputs, tmp_path / "out", other)


@pytest.mark.parametrize("name", ["config.json", "pytorch_model.bin", "tokenizer.json"])
def test_what_is_missing_there_is_named(inputs, source, tmp_path, name):
    other = Path(shutil.copytree(source, tmp_path / "other"))
    (other / name).unlink()
    with pytest.raises(UserError, match=r"other/.*: no such file"):
        run(inputs, tmp_path / "out", other)
