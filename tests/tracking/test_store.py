import signal
import subprocess
import sys
from pathlib import Path

import pytest

from bhasa.errors import Stopped, UserError
from bhasa.stages import tracked

KILLED_AT_STEP_1000 = """
import os, signal
from pathlib import Path
from bhasa.stages import tracked
with tracked("pretrain", Path("params.yaml")) as tracker:
    for step in range(1, 1001):
        tracker.log_metrics({"loss": 1 / step}, step)
    os.kill(os.getpid(), signal.SIGKILL)
"""

FIRST_USE = """
import sys
from pathlib import Path
from bhasa.stages import tracked
with tracked(sys.argv[1], Path("params.yaml")) as tracker:
    tracker.log_metrics({"value": 1.0})
"""


def python(code: str, *arguments: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", code, *arguments]
    return subprocess.Popen(command, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def test_stages_hang_under_one_parent(params: Path, store) -> None:
    for stage in ("ingest", "tokenize", "pretrain"):
        with tracked(stage, params) as tracker:
            tracker.log_metrics({"count": 3})
    parent = store.only("pipeline")
    children = [store.only(stage) for stage in ("ingest", "tokenize", "pretrain")]
    assert {child.data.tags["mlflow.parentRunId"] for child in children} == {parent.info.run_id}
    assert {run.info.status for run in (parent, *children)} == {"FINISHED"}
    assert all(child.data.metrics == {"count": 3} for child in children)
    assert parent.data.metrics == {}


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (Stopped(signal.SIGTERM, "saved"), "KILLED"),
        (KeyboardInterrupt(), "KILLED"),
        (UserError("no data"), "FAILED"),
        (SystemExit(3), "FAILED"),
    ],
)
def test_the_status_tells_how_it_ended(params: Path, store, error: BaseException, status: str) -> None:
    with pytest.raises(type(error)), tracked("finetune", params):
        raise error
    assert store.only("finetune").info.status == status
    assert store.only("pipeline").info.status == status


def test_a_stopped_stage_goes_on_in_its_run(params: Path, store) -> None:
    def steps(first: int, last: int) -> None:
        with tracked("pretrain", params) as tracker:
            for step in range(first, last):
                tracker.log_metrics({"loss": step}, step)
            if last == 5:
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        steps(0, 5)
    steps(3, 8)
    run = store.only("pretrain")
    assert run.info.status == "FINISHED"
    assert [step for step, _ in store.history(run, "loss")] == list(range(8))


def test_a_killed_stage_goes_on_in_its_run(params: Path, store) -> None:
    process = python(KILLED_AT_STEP_1000)
    assert process.communicate()[1] == ""
    assert process.returncode == -signal.SIGKILL
    with tracked("pretrain", params) as tracker:
        for step in range(990, 1011):
            tracker.log_metrics({"loss": 1 / step}, step)
    run = store.only("pretrain")
    assert run.info.status == "FINISHED"
    assert [step for step, _ in store.history(run, "loss")] == list(range(1, 1011))


def test_a_failed_stage_goes_on_in_its_run(params: Path, store) -> None:
    with pytest.raises(UserError), tracked("export", params):
        raise UserError("a gate was missed")
    with tracked("export", params):
        pass
    assert store.only("export").info.status == "FINISHED"
    assert store.only("pipeline").info.status == "FINISHED"


def test_a_stage_that_runs_again_begins_a_new_pipeline_run(params: Path, store) -> None:
    for stage in ("ingest", "tokenize", "ingest", "tokenize"):
        with tracked(stage, params):
            pass
    parents = [run.info.run_id for run in store.runs("pipeline")]
    assert len(set(parents)) == 2
    for stage in ("ingest", "tokenize"):
        assert [run.data.tags["mlflow.parentRunId"] for run in store.runs(stage)] == parents


def test_other_params_or_presets_are_another_pipeline_run(params: Path, store) -> None:
    preset = params.parent / "pipeline" / "model" / "debug.yaml"
    preset.parent.mkdir(parents=True)
    for stage, text in (("ingest", "d_model: 64"), ("tokenize", "d_model: 64"), ("pretrain", "d_model: 96")):
        preset.write_text(text)
        with tracked(stage, params):
            pass
    assert len(store.runs("pipeline")) == 2


def test_an_experiment_gives_its_name_to_the_parent(
    params: Path, store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DVC_EXP_NAME", "tarry-cape")
    with tracked("ingest", params):
        pass
    assert store.only("pipeline").info.run_name == "tarry-cape"
    assert store.only("ingest").info.run_name == "tarry-cape ingest"


def test_an_experiment_given_again_under_another_name_goes_on_in_its_runs(
    params: Path, store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DVC_EXP_NAME", "tarry-cape")
    with pytest.raises(KeyboardInterrupt), tracked("pretrain", params):
        raise KeyboardInterrupt
    monkeypatch.setenv("DVC_EXP_NAME", "dural-wage")
    with tracked("pretrain", params):
        pass
    assert store.only("pipeline").info.run_name == "dural-wage"
    assert store.only("pretrain").info.status == "FINISHED"


def test_the_users_store_is_used_when_one_is_named(
    params: Path, store, root: Path, workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with tracked("ingest", params):
        pass  # the store is there
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{root / 'mlflow.db'}")
    monkeypatch.setenv("DVC_ROOT", str(workspace))
    with tracked("tokenize", params):
        pass
    assert store.only("tokenize").info.status == "FINISHED"
    assert not (workspace / "mlflow.db").exists()


def test_two_processes_may_make_the_store_together(workspace: Path, open_store) -> None:
    processes = [python(FIRST_USE, stage) for stage in ("ingest", "tokenize")]
    assert [process.communicate() for process in processes] == [("", ""), ("", "")]
    store = open_store(workspace, workspace / "params.yaml")
    parent = store.only("pipeline")
    for stage in ("ingest", "tokenize"):
        assert store.only(stage).data.tags["mlflow.parentRunId"] == parent.info.run_id
