"""What users do with the whole pipeline, done in real repositories with real DVC and MLflow."""

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

# DVC and MLflow run in processes of their own; MLflow's client warns about itself while it is imported here.
pytestmark = [pytest.mark.filterwarnings("ignore"), pytest.mark.slow]

STAGES = ["ingest", "tokenize", "pretrain", "finetune", "evaluate", "export", "speed"]


def stages_run(output: str) -> list[str]:
    return re.findall(r"Running stage '(\w+)'", output)


def reports(workspace) -> dict[str, bytes]:
    """All reports but that of the stage `speed`, which differs from run to run."""
    folder = workspace.path / "reports"
    paths = sorted(path for path in folder.rglob("*") if path.is_file() and path.name != "speed.json")
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}


def lock(workspace) -> dict[str, Any]:
    """The hashes of the last run, but that of the one report of timings."""
    stages = YAML(typ="safe").load(workspace.text("dvc.lock"))["stages"]
    assert [out["path"] for out in stages["speed"].pop("outs")] == ["reports/speed.json"]
    return stages


def speeds(workspace) -> dict[str, Any]:
    return json.loads(workspace.text("reports/speed.json"))


@pytest.fixture
def restored(finished):
    """The finished workspace; what a test changes in it is undone."""
    yield finished
    finished.run("git", "checkout", "-q", "--", ".")
    finished.run("dvc", "checkout", "-q")


def test_two_clean_clones_give_the_same_bytes(finished, new_workspace) -> None:
    other = new_workspace()
    assert stages_run(other.repro()) == STAGES
    assert lock(other) == lock(finished)
    assert reports(other) == reports(finished)
    assert {"evaluate.json", "export.json", "evaluation/samples.md", "pretrain/loss.png"} <= reports(
        other
    ).keys()


def test_a_clone_of_a_finished_repository_measures_here(finished, tmp_path) -> None:
    """Whatever Git holds, the first run in a clone evaluates and times, so that MLflow has its figures."""
    finished.run("git", "clone", "-q", str(finished.path), str(tmp_path / "clone"))
    clone = replace(finished, path=tmp_path / "clone")
    assert not (clone.path / "reports" / "speed.json").exists()
    assert stages_run(clone.repro()) == STAGES
    assert lock(clone) == lock(finished)
    metrics = {name for run in tracked_runs(clone.path) for name in run.data.metrics}
    assert {"finetuned.perplexity", "finetuned.tokens_per_second", "onnx.mean_kl"} <= metrics
    assert speeds(clone) != speeds(finished)
    assert "tokens per second" in clone.run("bhasa", "report")


def test_a_report_of_another_model_is_left_out(restored) -> None:
    stale = restored.text("reports/speed.json")
    restored.set_params({"finetune.max_steps": 2})
    restored.repro()
    (restored.path / "reports" / "speed.json").unlink()  # it may be a link into the cache
    (restored.path / "reports" / "speed.json").write_text(stale)
    shown = restored.run("bhasa", "report")
    assert "Left out: reports/speed.json is of model" in shown
    assert "tokens per second" not in shown


def test_a_second_run_does_nothing_and_says_so(finished) -> None:
    output = finished.repro()
    assert not stages_run(output)
    assert "up to date" in output


def test_a_stage_reruns_only_what_depends_on_its_parameters(restored) -> None:
    restored.set_params({"evaluate.max_bytes": 15_000})
    assert stages_run(restored.repro()) == ["evaluate"]


def test_a_model_to_start_from_brings_its_tokenizer(restored) -> None:
    restored.set_params({"pretrain.init_from": "elsewhere"})
    assert stages_run(restored.run("dvc", "repro", "--dry")) == ["tokenize", "pretrain"]


def test_going_back_to_an_earlier_choice_restores_from_the_cache(restored) -> None:
    before, figures, timings = restored.text("dvc.lock"), reports(restored), speeds(restored)
    restored.set_params({"finetune.max_steps": 3})
    assert stages_run(restored.repro()) == ["finetune", "evaluate", "export", "speed"]
    assert speeds(restored)["models"] != timings["models"]
    restored.set_params({"finetune.max_steps": 4})
    output = restored.repro()
    assert not stages_run(output)
    assert "cached" in output
    assert restored.text("dvc.lock") == before
    assert (reports(restored), speeds(restored)) == (figures, timings)


def test_dvc_commit_records_a_change_that_alters_no_result(restored) -> None:
    with (restored.path / "src/bhasa/params.py").open("a") as source:
        source.write("# a comment\n")
    assert stages_run(restored.run("dvc", "repro", "--dry")) == STAGES
    restored.run("dvc", "commit", "--force")
    assert "up to date" in restored.repro()


def everything(workspace) -> dict[str, bytes]:
    """All that a run changes: what is chosen, what came out, and the lock of both."""
    folders = [workspace.path / name for name in ("data", "models")]
    paths = sorted(path for folder in folders for path in folder.rglob("*") if path.is_file())
    files = {path.relative_to(workspace.path).as_posix(): path.read_bytes() for path in paths}
    texts = {name: workspace.text(name).encode() for name in ("params.yaml", "dvc.lock")}
    return files | texts | reports(workspace)


def test_make_reset_goes_back_from_an_experiment_and_keeps_other_edits(restored) -> None:
    before = everything(restored)
    restored.run("dvc", "exp", "run", "-S", "finetune.max_steps=3")
    assert everything(restored) != before
    with (restored.path / "CHANGELOG.md").open("a") as page:
        page.write("a line of the user's\n")
    restored.run("make", "reset")
    assert everything(restored) == before
    assert restored.text("CHANGELOG.md").endswith("a line of the user's\n")
    assert "up to date" in restored.repro()
    assert "max_steps: 3" in restored.run("git", "stash", "show", "-p")  # nothing is lost
    assert "No local changes" in restored.run("make", "reset")


def test_make_reset_goes_back_from_a_stage_that_failed_as_its_error_says(restored) -> None:
    before = everything(restored)
    restored.set_params({"export.targets.onnx-int8.mean_kl": 1e-12})
    output = restored.run("dvc", "repro", ok=False)
    assert "mean_kl" in output
    assert "make reset" in output
    assert not (restored.path / "reports/export.json").exists()
    restored.run("make", "reset")
    assert everything(restored) == before


@pytest.mark.parametrize("size", ["debug-mamba2", "debug-hybrid"])
def test_every_kind_of_layer_goes_all_the_way_and_repeats(restored, size) -> None:
    restored.set_params({"model.size": size})
    assert stages_run(restored.repro()) == STAGES[2:]
    hashes, first = lock(restored), reports(restored)
    opened = json.loads(first["export.json"])["context"]["opened_with"]
    assert {"huggingface", "onnx", "onnx-int8"} == opened.keys()
    adapted = json.loads(restored.text("models/adapter/adapter_config.json"))["target_modules"]
    every = {"in_proj", "out_proj", "q_proj", "k_proj", "v_proj", "o_proj", "fc1", "fc2"}
    assert set(adapted) == {"debug-mamba2": {"in_proj"}, "debug-hybrid": every}[size]
    restored.run("dvc", "repro", "--force", "--single-item", *STAGES[2:])
    assert lock(restored) == hashes
    assert reports(restored) == first
    text = restored.run("bhasa", "generate", "--model", "models/finetuned", "--prompt", "def ")
    assert text.strip()


def test_dvc_shows_perplexity_and_curves(finished) -> None:
    metrics = json.loads(finished.run("dvc", "metrics", "show", "--json"))[""]["data"]
    evaluation = metrics["reports/evaluate.json"]["data"]
    assert evaluation["finetuned"]["perplexity"] > 1
    assert evaluation["finetuned"]["bits_per_byte"] > 0
    plots = json.loads(finished.run("dvc", "plots", "show", "--json"))["data"]
    assert any("validation_loss" in json.dumps(entry) for entry in plots.values())
    assert "finetuned.bits_per_byte" in finished.run("dvc", "exp", "show", "--csv").splitlines()[0]


def test_a_queued_experiment_is_tracked_in_the_main_workspace(restored) -> None:
    restored.run("dvc", "exp", "run", "--queue", "-n", "queued", "-S", "evaluate.max_bytes=12000")
    restored.run("dvc", "queue", "start")
    restored.run("dvc", "queue", "logs", "queued", "--follow")
    assert "Success" in restored.run("dvc", "queue", "status")
    names = [run.info.run_name for run in tracked_runs(restored.path)]
    assert any("queued" in name for name in names), names


def test_mlflow_holds_all_stages_under_one_parent(finished) -> None:
    runs = tracked_runs(finished.path)
    parents = [run for run in runs if "mlflow.parentRunId" not in run.data.tags]
    first = min(parents, key=lambda run: run.info.start_time)
    children = [run for run in runs if run.data.tags.get("mlflow.parentRunId") == first.info.run_id]
    assert sorted(run.data.tags["bhasa.stage"] for run in children) == sorted(STAGES)
    assert {"perplexity", "bits_per_byte", "loss"} <= first.data.metrics.keys()
    assert {run.info.status for run in [first, *children]} == {"FINISHED"}
    pretrain = next(run for run in children if run.data.tags["bhasa.stage"] == "pretrain")
    assert {"loss", "learning_rate", "grad_norm", "tokens_per_second"} <= pretrain.data.metrics.keys()
    assert pretrain.inputs.dataset_inputs


WRITE = """
import mlflow
mlflow.set_tracking_uri("sqlite:///mlflow.db")
model = mlflow.pyfunc.load_model("models:/bhasa@champion")
print("texts", model.predict([{"prompt": "def "}], params={"max_new_tokens": 5}))
"""


def test_the_registered_model_writes_text(finished) -> None:
    assert re.search(r"^texts \[['\"].+['\"]\]$", finished.run("python", "-c", WRITE), re.MULTILINE)


def tracked_runs(folder: Path) -> list:
    from mlflow import MlflowClient

    client = MlflowClient(f"sqlite:///{folder}/mlflow.db")
    experiment = client.get_experiment_by_name("bhasa")
    return client.search_runs([experiment.experiment_id])


def test_a_wrong_parameter_stops_the_run_before_the_first_stage(restored) -> None:
    restored.set_params({"export.targets.onnx-int8.mean_kl": -1.0, "ingest.min_characters": 65})
    output = restored.run("dvc", "repro", ok=False)
    assert "params.yaml: export.targets.onnx-int8.mean_kl: found -1.0" in output
    assert "Traceback" not in output
    assert (restored.path / "models/export/onnx/decode.onnx").is_file()
