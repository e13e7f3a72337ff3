from pathlib import Path

import pytest
from typer.testing import CliRunner

from bhasa import bundle
from bhasa.errors import UserError
from bhasa.model.config import ModelConfig
from bhasa.model.language_model import build

PRESETS = Path(__file__).parents[2] / "pipeline" / "model"


def shown(*arguments):
    import typer

    from bhasa.tools import inspect

    app = typer.Typer()
    app.command()(inspect.command)
    return (
        CliRunner().invoke(app, [*map(str, arguments)], catch_exceptions=False, env={"COLUMNS": "200"}).output
    )


def test_a_preset_is_shown_layer_by_layer():
    text = shown(PRESETS / "hybrid-tiny.yaml", "--vocab-size", 1000)
    assert "8 layers" in text
    assert "pattern 4M*3M: 4 Mamba-2 -> attention -> 3 Mamba-2" in text
    assert "192,000" in text  # the embedding
    assert "512 bytes a token" in text  # 2 heads of 32, keys and values, 4 bytes


def test_what_it_counts_is_what_the_model_has(tmp_path):
    config = ModelConfig(d_model=32, n_layer=2, vocab_size=50, tie_embeddings=False)
    model = build(config, seed=0)
    (tmp_path / "tokenizer").mkdir()
    bundle.save(tmp_path / "model", model, tokenizer=tmp_path / "tokenizer", provenance={})
    text = shown(tmp_path / "model")
    assert f"{model.num_parameters():,} parameters" in text
    assert f"{sum(p.numel() for p in model.backbone.layers[0].parameters()):,}" in text
    assert f"{4 * (64 * 3 + 64 * 16):,} bytes" in text  # convolution and recurrence


def test_a_preset_may_be_given_by_its_name(monkeypatch):
    monkeypatch.chdir(PRESETS.parents[1])
    assert "pattern 4M*3M" in shown("hybrid-tiny")


def test_a_file_of_weights_is_refused_with_what_to_give_instead(tmp_path):
    (tmp_path / "model.safetensors").write_text("{}")
    with pytest.raises(UserError, match="a file of weights; give the model folder"):
        shown(tmp_path / "model.safetensors")
