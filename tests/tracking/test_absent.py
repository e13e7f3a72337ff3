"""A stage runs where git or MLflow is missing; it is only told."""

import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = """
from pathlib import Path
from bhasa.tracking import open_run
with open_run("pretrain", params=Path("params.yaml")):
    print("the stage runs")
"""


@pytest.fixture
def workspace(tmp_path) -> Path:
    (tmp_path / "params.yaml").write_text("seed: 0\n")
    return tmp_path


def run_stage(workspace, **environment):
    source = str(Path(__file__).parents[2] / "src")
    path = ":".join([*environment.pop("first", []), source])
    return subprocess.run(
        [sys.executable, "-c", SCRIPT],
        cwd=workspace,
        env={"PYTHONPATH": path, "HOME": str(workspace), **environment},
        capture_output=True,
        text=True,
    )


def test_without_git(workspace):
    done = run_stage(workspace, PATH=str(workspace / "empty"))
    assert done.stdout == "the stage runs\n", done.stderr


def test_with_an_mlflow_that_does_not_import(workspace):
    (workspace / "broken/mlflow").mkdir(parents=True)
    (workspace / "broken/mlflow/__init__.py").write_text('raise ImportError("no protobuf")\n')
    done = run_stage(workspace, first=[str(workspace / "broken")], PATH="/usr/bin:/bin")
    assert done.stdout == "the stage runs\n", done.stderr
    assert "this run is not tracked: no protobuf" in done.stderr
