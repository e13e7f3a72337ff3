import errno
import importlib
import os
import subprocess
import sys

import pytest
import torch

from bhasa.cli import VERBS, _explain
from bhasa.errors import BhasaError, Stopped, UserError


def bhasa(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", "from bhasa.cli import main; main()", *arguments]
    return subprocess.run(
        command, capture_output=True, text=True, check=False, env=os.environ | environment, timeout=60
    )


def test_help_names_every_verb():
    shown = bhasa("--help")
    assert shown.returncode == 0
    assert all(f"\n  {verb} " in shown.stdout for verb in VERBS)


def test_an_unknown_verb_is_answered_with_the_nearest():
    answer = bhasa("genrate")
    assert answer.returncode == 2
    assert answer.stderr.startswith("error: no command 'genrate', did you mean 'generate'; there are: ")


@pytest.mark.parametrize("verb", VERBS)
def test_a_verb_explains_itself_without_loading_anything_heavy(verb):
    module = VERBS[verb][0]
    heavy = "{'torch', 'mlflow', 'numpy', 'pydantic', 'transformers', 'pyarrow'}"
    probe = f"import sys, {module}; print(sorted({heavy} & sys.modules.keys()))"
    loaded = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True)
    assert loaded.stdout == "[]\n"
    assert importlib.import_module(module).command.__doc__


def test_a_verb_s_help_shows_its_options():
    shown = bhasa("pretrain", "--help", COLUMNS="120")
    assert shown.returncode == 0
    assert "--training" in shown.stdout


def test_wrong_input_is_one_message_and_exit_code_2(tmp_path):
    answer = bhasa("check", "--params", str(tmp_path / "params.yaml"))
    assert answer.returncode == 2
    assert answer.stderr == f"error: {tmp_path / 'params.yaml'}: no such file\n"


def test_debug_shows_where_an_error_arose(tmp_path):
    answer = bhasa("check", "--params", str(tmp_path / "params.yaml"), "--debug")
    assert answer.returncode == 1
    assert "Traceback" in answer.stderr


def test_a_missing_option_is_exit_code_2():
    answer = bhasa("generate")
    assert answer.returncode == 2
    assert "--model" in answer.stderr
    assert "Traceback" not in answer.stderr


@pytest.mark.parametrize(
    ("error", "code", "words"),
    [
        (UserError("bad key"), 2, "bad key"),
        (BhasaError("gate missed"), 1, "gate missed"),
        (Stopped(15, "step 3 is saved"), 143, "stopped by SIGTERM; step 3 is saved"),
        (
            OSError(28, "No space left on device", "models/base"),
            1,
            "no room left on the disk for models/base",
        ),
        (
            OSError(errno.EDQUOT, "Disk quota exceeded"),
            1,
            "no room left in the quota of this user; what stood",
        ),
        (OSError(27, "File too large", "from", None, "to"), 1, "or `ulimit -f` allows for to; what stood"),
        (OSError("5000 requested and 359 written"), 1, "no room left on the disk"),  # NumPy
        (PermissionError(13, "Permission denied", "data"), 1, "data: Permission denied"),
        (MemoryError(), 1, "not enough memory"),
        # torch and the libraries written in Rust have no classes of their own for these
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to"), 1, "not enough memory"),
        (RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB."), 1, "not enough memory"),
        (Exception("I/O error: No space left on device (os error 28)"), 1, "no room left on the disk"),
        (Exception("I/O error: File too large (os error 27)"), 1, "larger than this disk or `ulimit -f`"),
    ],
)
def test_errors_become_one_message(error, code, words):
    message, exit_code = _explain(error)
    assert exit_code == code
    assert words in message


def test_torch_says_that_memory_ran_out_as_expected():
    with pytest.raises(RuntimeError) as raised:
        torch.empty(1 << 55)
    assert _explain(raised.value)[0].startswith("not enough memory")


def test_what_only_a_fault_of_bhasa_can_raise_is_not_explained_away():
    assert _explain(ZeroDivisionError("division by zero")) is None
    assert _explain(RuntimeError("shapes do not match")) is None


def test_a_full_disk_is_named_and_leaves_the_old_file(tmp_path):
    """A real one: the file size limit of the process stands for the end of the disk."""
    probe = """
import errno, resource, signal, sys
from pathlib import Path
from bhasa import cli, journal
target = Path(sys.argv[1])
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
try:
    journal.write_text(target, "x" * 5000)
except OSError as error:
    assert error.errno == errno.EFBIG, error
    print(cli._explain(OSError(errno.ENOSPC, "No space left on device", str(target)))[0])
"""
    target = tmp_path / "report.json"
    target.write_text("good")
    done = subprocess.run(
        [sys.executable, "-c", probe, str(target)], capture_output=True, text=True, check=True
    )
    assert "no room left on the disk" in done.stdout
    assert target.read_text() == "good"
    assert list(tmp_path.iterdir()) == [target]


def test_in_a_dvc_stage_an_error_says_how_to_get_the_last_outputs_back():
    assert "dvc checkout" in bhasa("genrate", DVC_STAGE="pretrain").stderr
