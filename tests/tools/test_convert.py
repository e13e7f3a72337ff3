import typer
from typer.testing import CliRunner

from bhasa import bundle
from bhasa.errors import UserError
from bhasa.tools.convert import Layout, command

app = typer.Typer()
app.command()(command)


def run(*arguments):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def test_the_command_writes_the_asked_layout_and_says_what(model_folder, tmp_path):
    result = run(model_folder, tmp_path / "official", "--to", "official")
    assert result.exit_code == 0, result.output
    assert result.stdout == (
        f"{tmp_path / 'official'}: mamba, {bundle.load(model_folder).num_parameters():,} parameters in "
        "float32, official layout\n"
    )
    back = run(tmp_path / "official", tmp_path / "back", "--to", "huggingface")
    assert back.exit_code == 0, back.output
    weights = [(folder / bundle.WEIGHTS).read_bytes() for folder in (model_folder, tmp_path / "back")]
    assert weights[0] == weights[1]


def test_every_layout_that_there_is_can_be_asked_for():
    assert [layout.value for layout in Layout] == list(bundle.LAYOUTS)


def test_a_folder_that_is_no_model_is_named(tmp_path):
    error = run(tmp_path, tmp_path / "target", "--to", "official").exception
    assert isinstance(error, UserError)
    assert str(tmp_path / "config.json") in str(error)
