import json

import pytest
import torch
import typer
from typer.testing import CliRunner

from bhasa import bundle
from bhasa.evaluation.config import SpeedConfig
from bhasa.export.targets import Source, load_target
from bhasa.hardware import HardwareProfile
from bhasa.journal import sha256_file
from bhasa.model.config import ModelConfig
from bhasa.model.language_model import build
from bhasa.stages import speed
from bhasa.tokens import tokenizer_files
from bhasa.tokens.config import BpeConfig
from bhasa.tokens.kinds import bpe

PROFILE = HardwareProfile(device="cpu", precision="fp32", micro_batch=1)


@pytest.fixture(scope="module")
def model_folder(tmp_path_factory):
    root = tmp_path_factory.mktemp("speed")
    tokenizer_files.save(bpe.make(BpeConfig(vocab_size=270), ["so it goes"]), root / "tokenizer")
    model = build(ModelConfig(d_model=16, n_layer=2, vocab_size=270), seed=0)
    bundle.save(root / "model", model, tokenizer=root / "tokenizer", provenance={})
    return root / "model"


def test_the_command_measures_the_model_and_what_decodes_of_its_exports(model_folder, workspace):
    PROFILE.save(workspace / "cpu.yaml")
    (workspace / "export").mkdir()
    for name in ("huggingface", "onnx"):
        load_target(name).write(Source(bundle.load(model_folder), model_folder), workspace / "export" / name)
    app = typer.Typer()
    app.command()(speed.command)
    paths = {"params": "params.yaml", "hardware": "cpu.yaml", "finetuned": str(model_folder)}
    paths |= {"export": "export", "report": "speed.json"}
    result = CliRunner().invoke(app, [part for name, path in paths.items() for part in (f"--{name}", path)])
    assert result.exit_code == 0, result.exception
    report = json.loads((workspace / "speed.json").read_text())
    assert report["models"] == {"finetuned": sha256_file(model_folder / bundle.WEIGHTS)}
    assert report["context"]["machine"]["threads"] == torch.get_num_threads()
    config = SpeedConfig.load(workspace / "params.yaml", "speed")
    assert report["finetuned"]["prompt_tokens"] == config.prompt_tokens
    assert report["finetuned"]["tokens_per_second"] > 0
    assert report["onnx"]["tokens_per_second"] > 0
    assert "huggingface" not in report  # transformers reads all tokens at once
