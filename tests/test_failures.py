"""What messages say when something fails: the cause, and what to run only where that helps."""

import errno
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from bhasa.errors import BhasaError, FileError, Stopped, UserError
from bhasa.failures import explain

PIPELINE = """
stages:
  pretrain:
    cmd: exec bhasa pretrain
    deps: [data/raw]
    outs: [models/base]
    metrics:
      - reports/pretrain.json: {cache: false}
"""


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
    message, exit_code = explain(error)
    assert exit_code == code
    assert words in message


def test_torch_says_that_memory_ran_out_as_expected():
    with pytest.raises(RuntimeError) as raised:
        torch.empty(1 << 55)
    assert explain(raised.value)[0].startswith("not enough memory")


def test_what_only_a_fault_of_bhasa_can_raise_is_not_explained_away():
    assert explain(ZeroDivisionError("division by zero")) is None
    assert explain(RuntimeError("shapes do not match")) is None


def test_a_full_disk_is_named_and_leaves_the_old_file(tmp_path):
    """A real one: the file size limit of the process stands for the end of the disk."""
    probe = """
import errno, resource, signal, sys
from pathlib import Path
from bhasa import journal
from bhasa.failures import explain
target = Path(sys.argv[1])
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
try:
    journal.write_text(target, "x" * 5000)
except OSError as error:
    assert error.errno == errno.EFBIG, error
    print(explain(OSError(errno.ENOSPC, "No space left on device", str(target)))[0])
"""
    target = tmp_path / "report.json"
    target.write_text("good")
    done = subprocess.run(
        [sys.executable, "-c", probe, str(target)], capture_output=True, text=True, check=True
    )
    assert "no room left on the disk" in done.stdout
    assert target.read_text() == "good"
    assert list(tmp_path.iterdir()) == [target]


@pytest.fixture
def pipeline(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("dvc.yaml").write_text(PIPELINE)
    return tmp_path


@pytest.mark.parametrize(
    ("path", "restore"),
    [
        ("models/base", "dvc checkout"),
        ("models/base/config.json", "dvc checkout"),
        ("reports/pretrain.json", "git checkout reports/pretrain.json"),  # which DVC's cache has not got
    ],
)
@pytest.mark.parametrize("absolute", [False, True])
def test_for_the_output_of_a_stage_the_remedy_is_said_once(pipeline, path, restore, absolute):
    path = pipeline / path if absolute else Path(path)
    message, code = explain(FileError(path, "no such file"))
    assert message == f"{path}: no such file; `dvc repro` makes it again, `{restore}` restores the last one"
    assert code == 2


@pytest.mark.parametrize("path", ["elsewhere/config.json", "data/raw/a.jsonl", "models", "/models/base"])
def test_the_pipeline_is_no_remedy_for_what_it_does_not_write(pipeline, path):
    assert explain(FileError(Path(path), "no such file")) == (f"{path}: no such file", 2)


@pytest.mark.parametrize("text", [None, "", "stages: {a: 3}", "- x", "\x00"])
def test_where_there_is_no_pipeline_none_is_spoken_of(tmp_path, monkeypatch, text):
    monkeypatch.chdir(tmp_path)
    if text is not None:
        Path("dvc.yaml").write_text(text)
    assert explain(FileError(Path("models/base"), "no such file"))[0] == "models/base: no such file"
