import shutil
import subprocess
import sys

import pytest
import typer
from safetensors.torch import load_file, save_file
from typer.testing import CliRunner

from bhasa import bundle
from bhasa.errors import UserError
from bhasa.inference.config import SamplingConfig
from bhasa.inference.generate import generate
from bhasa.inference.text import document_ids, special_ids, stream
from bhasa.tools.generate import command

app = typer.Typer()
app.command()(command)


def run(model_folder, *arguments, **options):
    return CliRunner().invoke(app, ["--model", str(model_folder), *arguments], **options)


def expected(model_folder, prompt, sampling):
    tokenizer = bundle.load_tokenizer(model_folder)
    ids = document_ids(tokenizer, prompt)
    tokens = generate(bundle.load(model_folder), ids, sampling, stop_ids=special_ids(tokenizer))
    return "".join(stream(tokenizer, tokens)) + "\n"


def test_the_continuation_is_printed(model_folder):
    options = (
        "--max-new-tokens",
        "9",
        "--temperature",
        "0.5",
        "--top-k",
        "40",
        "--top-p",
        "0.9",
        "--seed",
        "4",
    )
    result = run(model_folder, "--prompt", "the cat", *options)
    assert result.exit_code == 0, result.output
    sampling = SamplingConfig(max_new_tokens=9, temperature=0.5, top_k=40, top_p=0.9, seed=4)
    assert result.stdout == expected(model_folder, "the cat", sampling)
    assert len(result.stdout) > 5


def test_the_seed_decides_the_text(model_folder):
    first, second, other = (run(model_folder, "--prompt", "the", "--seed", seed).stdout for seed in "112")
    assert first == second != other


def test_a_prompt_may_come_from_standard_input(model_folder):
    piped = run(model_folder, "--prompt", "-", "--temperature", "0", input="the cat\nsat")
    direct = run(model_folder, "--prompt", "the cat\nsat", "--temperature", "0")
    assert piped.stdout == direct.stdout
    assert len(direct.stdout) > 1


@pytest.mark.parametrize(("prompt", "piped"), [("-", b"caf\xe9"), ("caf\udce9", b"")])
def test_a_prompt_that_is_not_text_is_refused(model_folder, prompt, piped):
    error = run(model_folder, "--prompt", prompt, input=piped).exception
    assert isinstance(error, UserError)
    assert "--prompt: not UTF-8 text" in str(error)


def test_text_is_shown_before_the_last_token_is_written(model_folder):
    script = "import typer; from bhasa.tools.generate import command; typer.run(command)"
    forever = [
        "--model",
        str(model_folder),
        "--prompt",
        "the",
        "--temperature",
        "0",
        "--max-new-tokens",
        str(10**9),
    ]
    with subprocess.Popen([sys.executable, "-c", script, *forever], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        try:
            assert process.stdout.read(1)
            assert process.poll() is None
        finally:
            process.kill()


@pytest.mark.parametrize(
    ("option", "value"),
    [("--top-p", "0"), ("--temperature", "-1"), ("--max-new-tokens", "0"), ("--top-k", "-2")],
)
def test_an_option_out_of_range_is_named(model_folder, option, value):
    error = run(model_folder, "--prompt", "the", option, value).exception
    assert isinstance(error, UserError)
    assert f"options: {option[2:].replace('-', '_')}: found" in str(error)


@pytest.mark.parametrize("name", ["config.json", "model.safetensors", "tokenizer.json"])
def test_a_missing_file_is_named(model_folder, tmp_path, name):
    shutil.copytree(model_folder, tmp_path / "model")
    (tmp_path / "model" / name).unlink()
    error = run(tmp_path / "model", "--prompt", "the").exception
    assert isinstance(error, UserError)
    assert str(tmp_path / "model" / name) in str(error)


@pytest.mark.parametrize("name", ["config.json", "model.safetensors", "tokenizer.json"])
def test_a_truncated_file_is_named(model_folder, tmp_path, name):
    shutil.copytree(model_folder, tmp_path / "model")
    path = tmp_path / "model" / name
    path.write_bytes(path.read_bytes()[:-100])
    error = run(tmp_path / "model", "--prompt", "the").exception
    assert isinstance(error, UserError)
    assert str(path) in str(error)


@pytest.mark.parametrize("verb", [("generate", "--prompt", "the cat"), ("chat",)], ids=lambda verb: verb[0])
@pytest.mark.slow
def test_a_model_of_nan_ends_in_one_message(model_folder, tmp_path, verb):
    shutil.copytree(model_folder, tmp_path / "model")
    weights = load_file(tmp_path / "model" / bundle.WEIGHTS)
    weights["backbone.norm_f.weight"].fill_(float("nan"))
    save_file(weights, tmp_path / "model" / bundle.WEIGHTS)
    options = [*verb, "--model", str(tmp_path / "model")]
    command = [sys.executable, "-c", "from bhasa.cli import main; main()", *options]
    result = subprocess.run(command, input="the cat\n", capture_output=True, text=True, check=False)
    assert result.returncode == 1
    assert result.stdout.strip() == ""
    assert result.stderr.startswith("error: the model's logits are not finite")
    assert result.stderr.count("\n") == 1


def test_the_model_is_put_where_device_says(model_folder, monkeypatch):
    devices = []
    load = bundle.load
    monkeypatch.setattr(bundle, "load", lambda folder, device: devices.append(device) or load(folder))
    monkeypatch.setattr("bhasa.hardware.available_devices", lambda: ["cpu", "cuda", "mps"])
    for device in ("auto", "cpu", "cuda", "mps"):
        assert run(model_folder, "--prompt", "the", "--device", device).exit_code == 0
    assert devices == ["cuda", "cpu", "cuda", "mps"]


def test_an_adapter_is_no_model_to_write_with(tmp_path):
    (tmp_path / "adapter_config.json").write_text("{}")
    assert "an adapter, not a model" in str(run(tmp_path, "--prompt", "the").exception)
