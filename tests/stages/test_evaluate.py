import csv
import json
import lzma
import math
import shutil

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
import typer
from typer.testing import CliRunner

from bhasa import bundle
from bhasa.errors import UserError
from bhasa.evaluation.config import EvaluateConfig
from bhasa.hardware import HardwareProfile
from bhasa.inference.config import SamplingConfig
from bhasa.journal import sha256_file, sha256_folder
from bhasa.model.config import ModelConfig
from bhasa.model.language_model import build
from bhasa.stages import evaluate
from bhasa.tokens import encoding, tokenizer_files
from bhasa.tokens.config import BpeConfig
from bhasa.tokens.kinds import bpe
from bhasa.tracking import NullTracker

TEXTS = ["the cat sat on the mat, and the rat saw it\n" * 3, "caf\u00e9 <|end|>", "so " * 40]
CONFIG = EvaluateConfig(
    batch=2,
    chunk=16,
    prompts=("the cat", "why?"),
    sampling=SamplingConfig(max_new_tokens=8, temperature=0.8, seed=1),
)
PROFILE = HardwareProfile(device="cpu", precision="fp32", micro_batch=1)


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    root = tmp_path_factory.mktemp("inputs")
    (root / "documents").mkdir()
    sizes = [len(text.encode()) for text in TEXTS]
    pq.write_table(
        pa.table({"text": TEXTS, "bytes": pa.array(sizes)}), root / "documents" / "test-00000.parquet"
    )
    tokenizer = bpe.make(BpeConfig(vocab_size=280), TEXTS)
    tokenizer_files.save(tokenizer, root / "tokenizer")
    for seed, name in enumerate(("base", "finetuned")):
        config = ModelConfig(
            d_model=16,
            n_layer=2,
            vocab_size=tokenizer.get_vocab_size(),
            initializer_range=0.3,
            tie_embeddings=False,
        )
        bundle.save(root / name, build(config, seed=seed), tokenizer=root / "tokenizer", provenance={})
    return {name: root / name for name in ("documents", "base", "finetuned")}


class RecordingTracker(NullTracker):
    def __init__(self):
        self.metrics, self.files = [], []

    def log_metrics(self, values, step=0):
        self.metrics.append((step, dict(values)))

    def log_file(self, path):
        self.files.append(path.name)


def run(inputs, folder, config=CONFIG, tracker=None):
    outputs = {name: folder / file for name, file in OUTPUTS.items()}
    return evaluate.run(config, profile=PROFILE, **inputs, **outputs, tracker=tracker or NullTracker())


OUTPUTS = {"report": "evaluate.json", "details": "evaluation"}


def test_the_report_agrees_with_a_naive_computation(inputs, tmp_path):
    run(inputs, tmp_path)
    report = json.loads((tmp_path / "evaluate.json").read_text())
    content = "".join(TEXTS).encode()
    assert report["documents"] == 3
    assert report["bytes"] == len(content)
    xz = 8 * len(lzma.compress(content, preset=9 | lzma.PRESET_EXTREME)) / len(content)
    assert report["xz"]["bits_per_byte"] == pytest.approx(xz, abs=1e-6)
    for name in ("base", "finetuned"):
        model, tokenizer = bundle.load(inputs[name]), bundle.load_tokenizer(inputs[name])
        nats, tokens = 0.0, 0
        for ids in encoding.encode_documents(tokenizer, TEXTS):
            with torch.no_grad():
                log_p = model(torch.from_numpy(ids.astype(np.int64))[None])[0][0].double().log_softmax(-1)
            nats -= sum(float(log_p[i, token]) for i, token in enumerate(ids[1:].tolist()))
            tokens += len(ids) - 1
        assert report[name]["tokens"] == tokens
        assert report[name]["loss"] == pytest.approx(nats / tokens, rel=1e-4)
        assert report[name]["perplexity"] == pytest.approx(math.exp(nats / tokens), rel=1e-3)
        assert report[name]["bits_per_byte"] == pytest.approx(nats / math.log(2) / len(content), rel=1e-4)
    assert report["base"]["loss"] != report["finetuned"]["loss"]


def test_all_that_is_written_is_the_same_bytes_on_every_run(inputs, tmp_path):
    for folder in ("one", "two"):
        run(inputs, tmp_path / folder)
    assert sha256_folder(tmp_path / "one") == sha256_folder(tmp_path / "two")
    details = sorted(path.name for path in (tmp_path / "one" / "evaluation").iterdir())
    assert details == ["likelihood.csv", "loss_by_position.csv", "samples.md"]


def test_samples_show_every_prompt_before_and_after_tuning(inputs, tmp_path):
    run(inputs, tmp_path)
    page = (tmp_path / "evaluation" / "samples.md").read_text()
    assert page.count("\n### base\n") == page.count("\n### finetuned\n") == 2
    assert page.count("\n### finetuned, in a chat\n") == 2
    assert "\nthe cat\n" in page


def test_the_report_names_the_models_that_it_is_of(inputs, tmp_path):
    run(inputs, tmp_path)
    models = json.loads((tmp_path / "evaluate.json").read_text())["models"]
    assert models == {name: sha256_file(inputs[name] / bundle.WEIGHTS) for name in ("base", "finetuned")}


def test_the_tracker_is_told_numbers_curves_and_files(inputs, tmp_path):
    tracker = RecordingTracker()
    metrics = run(inputs, tmp_path, tracker=tracker)
    report = json.loads((tmp_path / "evaluate.json").read_text())
    assert metrics["finetuned.perplexity"] == report["finetuned"]["perplexity"]
    assert metrics["xz.bits_per_byte"] == report["xz"]["bits_per_byte"]
    assert (0, metrics) in tracker.metrics
    curve = [
        (step, values["base.loss_by_position"])
        for step, values in tracker.metrics
        if "base.loss_by_position" in values
    ]
    table = list(csv.DictReader((tmp_path / "evaluation" / "loss_by_position.csv").read_text().splitlines()))
    rows = [row for row in table if row["model"] == "base"]
    assert curve == [(int(row["up_to"]), float(row["loss_by_position"])) for row in rows]
    assert sorted(tracker.files) == ["evaluate.json", "samples.md"]


def test_only_the_budget_is_measured(inputs, tmp_path):
    metrics = run(inputs, tmp_path, CONFIG.model_copy(update={"max_bytes": 50}))
    assert (metrics["documents"], metrics["bytes"]) == (1, 50)


def test_a_missing_model_leaves_the_last_report_alone(inputs, tmp_path):
    run(inputs, tmp_path)
    before = (tmp_path / "evaluate.json").read_bytes()
    with pytest.raises(UserError, match="nowhere: no such folder"):
        run(inputs | {"finetuned": tmp_path / "nowhere"}, tmp_path)
    assert (tmp_path / "evaluate.json").read_bytes() == before


def test_a_truncated_model_is_named(inputs, tmp_path):
    broken = tmp_path / "base"
    shutil.copytree(inputs["base"], broken)
    weights = broken / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])
    with pytest.raises(UserError, match=r"model\.safetensors: damaged"):
        run(inputs | {"base": broken}, tmp_path)


def test_the_section_must_have_prompts():
    with pytest.raises(UserError, match="prompts: missing"):
        EvaluateConfig.parse({}, "params.yaml: evaluate")
    with pytest.raises(UserError, match="prompts"):
        EvaluateConfig.parse({"prompts": []}, "params.yaml: evaluate")


def test_the_command_reads_the_section_and_the_profile(inputs, workspace):
    PROFILE.save(workspace / "cpu.yaml")
    app = typer.Typer()
    app.command()(evaluate.command)
    paths = {"params": "params.yaml", "hardware": "cpu.yaml"} | inputs | OUTPUTS
    result = CliRunner().invoke(
        app, [part for name, path in paths.items() for part in (f"--{name}", str(path))]
    )
    assert result.exit_code == 0, result.exception
    assert json.loads((workspace / "evaluate.json").read_text())["documents"] == 3
    prompts = EvaluateConfig.load(workspace / "params.yaml", "evaluate").prompts
    assert all(prompt in (workspace / "evaluation" / "samples.md").read_text() for prompt in prompts)
