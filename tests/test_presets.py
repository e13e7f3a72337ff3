"""Every preset that ships, and what the documentation promises of it."""

import operator
import shutil
from functools import reduce
from pathlib import Path
from types import SimpleNamespace

import pytest
import typer
from ruamel.yaml import YAML
from typer.testing import CliRunner

from bhasa import bundle
from bhasa.errors import UserError
from bhasa.experiment import Experiment, check
from bhasa.hardware import HardwareProfile
from bhasa.model.config import ModelConfig
from bhasa.model.language_model import build, outline
from bhasa.stages import pretrain
from bhasa.training.config import PretrainPreset
from bhasa.training.estimate import training_bytes

ROOT = Path(__file__).parents[1]
PIPELINE = ROOT / "pipeline"


@pytest.mark.parametrize("path", sorted((PIPELINE / "training").glob("*.yaml")), ids=lambda path: path.stem)
def test_training_presets_load_and_hold_several_steps(path):
    preset = PretrainPreset.load(path)
    assert preset.tokens // preset.tokens_per_step > 50


@pytest.mark.parametrize("path", sorted((PIPELINE / "model").glob("*.yaml")), ids=lambda path: path.stem)
def test_model_presets_load(path):
    assert ModelConfig.load(path).n_layer >= 2


@pytest.mark.parametrize("family", ["", "mamba2-"])
@pytest.mark.parametrize(
    ("size", "width", "millions"),
    [("tiny", 192, 1.8), ("small", 512, 50), ("medium", 768, 150), ("large", 1024, 400)],
)
def test_sizes_count_what_they_are_called(family, size, width, millions):
    vocabulary = YAML(typ="safe").load(ROOT / "params.yaml")["tokenize"]["tokenizer"]["vocab_size"]
    config = ModelConfig.load(PIPELINE / "model" / f"{family}{size}.yaml").model_copy(
        update={"vocab_size": vocabulary}
    )
    assert config.d_model == width
    assert outline(config).num_parameters() == pytest.approx(1e6 * millions, rel=0.015)


@pytest.mark.parametrize(
    ("name", "vocabulary", "count"),
    [
        ("mamba-130m", 50280, 129_135_360),
        ("mamba-370m", 50280, 371_516_416),
        ("mamba-790m", 50280, 793_204_224),
        ("mamba-1.4b", 50280, 1_372_178_432),
        ("mamba-2.8b", 50280, 2_768_345_600),
        ("mamba2-130m", 50288, 128_989_632),
        ("mamba2-370m", 50288, 368_346_624),
        ("mamba2-780m", 50288, 780_161_280),
        ("mamba2-1.3b", 50288, 1_343_757_312),
        ("mamba2-2.7b", 50288, 2_702_599_680),
    ],
)
def test_official_sizes_count_to_the_parameter(name, vocabulary, count):
    config = ModelConfig.load(PIPELINE / "model" / f"{name}.yaml")
    model = outline(config.model_copy(update={"vocab_size": vocabulary}))
    assert model.num_parameters() == count


@pytest.mark.parametrize(("name", "share"), [("hybrid-tiny", 1 / 8), ("hybrid-small", 0.3)])
def test_hybrids_have_the_attention_they_promise_and_none_first(name, share):
    layers = ModelConfig.load(PIPELINE / "model" / f"{name}.yaml").layers
    assert layers.count("attention") / len(layers) == share
    assert layers[0] != "attention"


@pytest.mark.parametrize("path", sorted((PIPELINE / "model").glob("*.yaml")), ids=lambda path: path.stem)
def test_every_size_can_be_chosen_with_the_parameters_that_ship(path, tmp_path, monkeypatch):
    monkeypatch.setattr("psutil.virtual_memory", lambda: SimpleNamespace(total=1 << 40))
    check(params_with(tmp_path, model__size=path.stem), PIPELINE)


PROFILES = {path.stem: path for path in sorted((PIPELINE / "hardware").glob("*.yaml"))}
GPUS = sorted((name for name in PROFILES if name.endswith("gb")), key=lambda name: int(name[:-2]))


@pytest.mark.parametrize("name", PROFILES)
def test_a_profile_says_how_to_run_and_loads(name):
    profile = HardwareProfile.load(PROFILES[name])
    assert profile.device == ("cuda" if name in GPUS else name)
    assert profile.backend == "auto"  # a shipped profile is for any machine with that device


def test_a_larger_gpu_takes_no_fewer_rows_and_none_recomputes_in_full_precision():
    profiles = [HardwareProfile.load(PROFILES[name]) for name in GPUS]
    sizes = [profile.micro_batch for profile in profiles]
    assert sizes == sorted(set(sizes))
    recomputing = [profile.activation_checkpointing for profile in profiles]
    assert recomputing == sorted(recomputing, reverse=True)  # the small ones
    assert all(profile.precision != "fp32" for profile in profiles if profile.activation_checkpointing)


@pytest.mark.parametrize("name", GPUS)
def test_a_gpu_s_profile_fits_its_memory_with_the_default_model(name):
    choice = YAML(typ="safe").load(ROOT / "params.yaml")
    config = ModelConfig.load(PIPELINE / "model" / f"{choice['model']['size']}.yaml")
    config = config.model_copy(update={"vocab_size": choice["tokenize"]["tokenizer"]["vocab_size"]})
    training = PretrainPreset.load(PIPELINE / "training" / f"{choice['training']['preset']}.yaml")
    profile, count = HardwareProfile.load(PROFILES[name]), outline(config).num_parameters()
    needed = training_bytes(
        config,
        parameters=count,
        trained=count,
        tokens=profile.micro_batch * training.context_length,
        checkpointing=profile.activation_checkpointing,
    )
    assert needed < 0.8e9 * int(name.removesuffix("gb"))


def test_the_experiment_as_shipped_is_valid():
    check(ROOT / "params.yaml", PIPELINE)


@pytest.mark.parametrize("choice", ["model.size", "hardware.profile", "training.preset"])
def test_an_unknown_preset_is_answered_with_those_there_are(choice, tmp_path):
    yaml = YAML()
    params = yaml.load(ROOT / "params.yaml")
    section, key = choice.split(".")
    params[section][key] = "defalt"
    yaml.dump(params, tmp_path / "params.yaml")
    with pytest.raises(UserError, match=r"defalt.yaml: no such file.*; there are: "):
        check(tmp_path / "params.yaml", PIPELINE)


@pytest.fixture
def pipeline(tmp_path):
    """A copy of the presets, with an architecture that has an MLP besides."""
    folder = shutil.copytree(PIPELINE, tmp_path / "pipeline")
    (folder / "model" / "mlp.yaml").write_text("d_model: 32\nn_layer: 2\nd_intermediate: 48\n")
    return folder


def params_with(folder, **changes):
    """params.yaml with `section__key=value` changed, or `section__section__key`."""
    yaml = YAML()
    params = yaml.load(ROOT / "params.yaml")
    for name, value in changes.items():
        *sections, key = name.split("__")
        reduce(operator.getitem, sections, params)[key] = value
    yaml.dump(params, folder / "params.yaml")
    return folder / "params.yaml"


def test_targets_of_fine_tuning_are_held_against_the_chosen_architecture(pipeline, tmp_path):
    check(params_with(tmp_path, model__size="mlp", finetune__adapter__targets=["in_proj", "fc1"]), pipeline)
    wrong = params_with(tmp_path, finetune__adapter__targets=["in_proj", "fc1"])
    message = "finetune.adapter.targets: fc1: no such projection in the model; there are: dt_proj, in_proj"
    with pytest.raises(UserError, match=message):
        check(wrong, pipeline)


def test_a_model_that_no_batch_makes_fit_is_refused(pipeline, tmp_path, monkeypatch):
    monkeypatch.setattr("psutil.virtual_memory", lambda: SimpleNamespace(total=3_000_000_000))
    check(params_with(tmp_path, model__size="medium"), pipeline)
    message = r"training 39\d,\d+,\d+ parameters takes more than 6.4 GB of memory, cpu has 3.0 GB"
    with pytest.raises(UserError, match=message):
        check(params_with(tmp_path, model__size="large"), pipeline)
    with pytest.raises(UserError, match=r"smaller model or vocabulary"):
        check(params_with(tmp_path, model__size="small", tokenize__tokenizer__vocab_size=1 << 20), pipeline)


def test_a_model_to_start_from_is_held_against_the_other_sections_instead_of_the_preset(pipeline, tmp_path):
    (tmp_path / "empty").mkdir()
    model = build(ModelConfig(d_model=16, n_layer=2, vocab_size=300, ssm="mamba2", headdim=8), seed=0)
    bundle.save(tmp_path / "model", model, tokenizer=tmp_path / "empty", provenance={})
    start = {"pretrain__init_from": str(tmp_path / "model"), "pretrain__max_steps": 0}
    check(params_with(tmp_path, **start, finetune__adapter__targets=["in_proj", "out_proj"]), pipeline)
    with pytest.raises(UserError, match=r"finetune.adapter.targets: x_proj: no such projection in the model"):
        check(params_with(tmp_path, **start, finetune__adapter__targets=["x_proj"]), pipeline)
    with pytest.raises(UserError, match="nowhere: no such folder"):
        check(params_with(tmp_path, pretrain__init_from="nowhere"), pipeline)
    with pytest.raises(UserError, match="max_steps is 0 and init_from null"):
        check(params_with(tmp_path, pretrain__max_steps=0), pipeline)


def test_pretrain_finds_before_it_starts_what_would_stop_a_stage_after_it(pipeline, tmp_path):
    params = params_with(tmp_path, finetune__adapter__targets=["fc1"])
    app = typer.Typer()
    app.command()(pretrain.command)
    presets = {"model": "model/tiny", "hardware": "hardware/cpu", "training": "training/fast"}
    options = ["--params", str(params)]
    for name, preset in presets.items():
        options += [f"--{name}", str(pipeline / f"{preset}.yaml")]
    for name in ("tokenizer", "tokens", "base", "report", "curves"):
        options += [f"--{name}", str(tmp_path / "nowhere" / name)]
    with pytest.raises(UserError, match=r"finetune.adapter.targets: fc1: no such projection"):
        CliRunner().invoke(app, options, catch_exceptions=False)


@pytest.mark.parametrize(
    ("section", "key", "value"),
    [
        ("pretrain", "max_step", 3),
        ("finetune", "epochs", 0),
        ("evaluate", "max_bytes", "many"),
        ("export", "tokens", 0),
        ("speed", "repeats", 0),
        ("tokenize", "max_bytes", 0),
        ("ingest", "test_fraction", 1.5),
    ],
)
def test_a_mistake_in_any_section_is_named(section, key, value, tmp_path):
    yaml = YAML()
    params = yaml.load(ROOT / "params.yaml")
    params[section][key] = value
    yaml.dump(params, tmp_path / "params.yaml")
    with pytest.raises(UserError, match=rf"params.yaml: {section}\.{key}: "):
        Experiment.load(tmp_path / "params.yaml")
