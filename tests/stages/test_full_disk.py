"""Whole stages, as DVC starts them, that may not write what they must: a limit on the size of a file is real.

It comes from the operating system in the middle of a write, as the end of a disk does.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest

import bhasa

ROOT = Path(__file__).parents[2]
LIMITED = """
import resource, signal, sys
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # so that a write fails instead of ending the process
limit = int(sys.argv.pop(1))
if limit:
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
from bhasa.cli import main
main()
"""
PRESETS = {
    "model": "d_model: 32\nn_layer: 2\n",
    "hardware": "device: cpu\nprecision: fp32\nmicro_batch: 2\n",
    "training": "context_length: 32\ntokens_per_step: 64\ntokens: 128\nlearning_rate: 0.01\n",
}
STAGES = {
    "ingest": {
        "hardware": "hardware.yaml",
        "raw": "data/raw",
        "documents": "documents",
        "chat": "chat",
        "accounts": "accounts.parquet",
        "page": "data.html",
    },
    "tokenize": {
        "hardware": "hardware.yaml",
        "documents": "documents",
        "chat": "chat",
        "tokenizer": "tokenizer",
        "tokens": "tokens",
    },
    "pretrain": {
        **{name: f"{name}.yaml" for name in PRESETS},
        "tokenizer": "tokenizer",
        "tokens": "tokens/documents",
        "base": "base",
        "curves": "curves",
    },
}
LIMITS = {"ingest": 1500, "tokenize": 1500, "pretrain": 50_000}  # less than the largest file of each


def start(folder: Path, stage: str, limit: int) -> subprocess.CompletedProcess[str]:
    options = {"params": "params.yaml", **STAGES[stage], "report": f"{stage}.json"}
    arguments = [part for name, value in options.items() for part in (f"--{name}", value)]
    return subprocess.run(
        [sys.executable, "-c", LIMITED, str(limit), stage, *arguments],
        cwd=folder,
        env=os.environ
        | {
            "PYTHONPATH": str(Path(bhasa.__file__).parents[1]),
            "DVC_ROOT": str(folder),
            "MLFLOW_TRACKING_URI": "http://127.0.0.1:9",  # nobody listens: no database to make first
        },
        capture_output=True,
        text=True,
    )


@pytest.fixture(scope="module")
def project(tmp_path_factory) -> Path:
    """A folder in which the three stages ran once."""
    folder = tmp_path_factory.mktemp("project")
    raw = folder / "data" / "raw"
    raw.mkdir(parents=True)
    for n in range(80):
        text = f'def add_{n}(x):\n    """Return the sum of the number x and {n}."""\n    return x + {n}\n'
        (raw / f"add_{n}.py").write_text(text * 3)
    params = (ROOT / "params.yaml").read_text()
    library = params[params.index("    - kind: python-library") : params.index("  min_characters")]
    params = params.replace(library, "").replace("vocab_size: 4096", "vocab_size: 300")
    (folder / "params.yaml").write_text(params)
    for name, text in PRESETS.items():
        (folder / f"{name}.yaml").write_text(text)
    for stage in STAGES:
        done = start(folder, stage, 0)
        assert done.returncode == 0, done.stderr
    return folder


def contents(folder: Path) -> dict[str, bytes]:
    """Every file but the state of unfinished runs."""
    paths = [path.relative_to(folder) for path in folder.rglob("*") if path.is_file()]
    return {str(path): (folder / path).read_bytes() for path in paths if path.parts[0] != ".bhasa"}


@pytest.mark.slow
@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_that_cannot_write_says_so_once_and_leaves_what_stood_there(project, stage):
    before = contents(project)
    failed = start(project, stage, LIMITS[stage])
    assert failed.returncode == 1, failed.stderr
    *earlier, last = failed.stderr.splitlines()
    assert last.startswith("error: a file grew larger than this disk or `ulimit -f` allows")
    assert not [line for line in earlier if line.startswith(("error:", "Traceback"))], failed.stderr
    assert contents(project) == before
