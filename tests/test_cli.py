import importlib
import os
import subprocess
import sys

import pytest

from bhasa import __version__
from bhasa.cli import VERBS


def bhasa(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", "from bhasa.cli import main; main()", *arguments]
    return subprocess.run(
        command, capture_output=True, text=True, check=False, env=os.environ | environment, timeout=60
    )


@pytest.mark.parametrize("asked", [(), ("-h",), ("--help",), ("help",)])
def test_help_names_every_verb(asked):
    shown = bhasa(*asked)
    assert shown.returncode == 0
    assert all(f" {verb} " in shown.stdout for verb in VERBS)


def test_an_unknown_verb_is_answered_with_the_nearest():
    answer = bhasa("genrate")
    assert answer.returncode == 2
    assert "No such command 'genrate'. Did you mean 'generate'?" in answer.stderr


def test_the_version_is_shown():
    assert bhasa("--version").stdout == f"bhasa {__version__}\n"


@pytest.mark.parametrize("verb", VERBS)
def test_a_verb_explains_itself_without_loading_anything_heavy(verb):
    module = VERBS[verb]
    heavy = "{'torch', 'mlflow', 'numpy', 'pydantic', 'transformers', 'pyarrow'}"
    probe = f"import sys, {module}; print(sorted({heavy} & sys.modules.keys()))"
    loaded = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True)
    assert loaded.stdout == "[]\n"
    assert importlib.import_module(module).command.__doc__


@pytest.mark.parametrize("asked", [("pretrain", "--help"), ("pretrain", "-h"), ("help", "pretrain")])
def test_a_verb_s_help_shows_its_options(asked):
    shown = bhasa(*asked, COLUMNS="120")
    assert shown.returncode == 0
    assert "--training" in shown.stdout


def test_shells_complete_verbs_and_options():
    def complete(words: str, position: int) -> set[str]:
        shown = bhasa(_BHASA_COMPLETE="complete_bash", COMP_WORDS=words, COMP_CWORD=str(position))
        return set(shown.stdout.split())

    assert complete("bhasa ge", 1) == {"generate"}
    assert "--prompt" in complete("bhasa generate --p", 2)


@pytest.mark.parametrize("command", ["bhasa -h", "bhasa generate -h", "bhasa inspect preset.yaml", "bhasa"])
def test_a_reader_that_stops_reading_is_no_error(tmp_path, command):
    """As `| head -1` does; here the reader is gone before the first line."""
    (tmp_path / "preset.yaml").write_text("d_model: 8\nn_layer: 2\nvocab_size: 16\n")
    program = f"{sys.executable} -c 'from bhasa.cli import main; main()'"
    piped = f"({command.replace('bhasa', program, 1)}; echo exit code $? >&2) | true"
    shown = subprocess.run(
        ["bash", "-c", piped], cwd=tmp_path, capture_output=True, text=True, check=True, timeout=60
    )
    assert shown.stderr in {f"exit code {code}\n" for code in (0, 1)}


def test_wrong_input_is_one_message_and_exit_code_2(tmp_path):
    answer = bhasa("check", "--params", str(tmp_path / "params.yaml"))
    assert answer.returncode == 2
    assert answer.stderr == f"error: {tmp_path / 'params.yaml'}: no such file\n"


@pytest.mark.parametrize("place", [0, 1, 3])
def test_debug_shows_where_an_error_arose(tmp_path, place):
    arguments = ["check", "--params", str(tmp_path / "params.yaml")]
    arguments.insert(place, "--debug")
    answer = bhasa(*arguments)
    assert answer.returncode == 1
    assert "Traceback" in answer.stderr


def test_a_missing_option_is_exit_code_2():
    answer = bhasa("generate")
    assert answer.returncode == 2
    assert "--model" in answer.stderr
    assert "Traceback" not in answer.stderr


def test_in_a_dvc_stage_an_error_says_how_to_go_back(tmp_path):
    wrong = ["check", "--params", str(tmp_path / "params.yaml")]
    assert "make reset" in bhasa(*wrong, DVC_STAGE="pretrain").stderr
    assert "make reset" not in bhasa(*wrong).stderr
