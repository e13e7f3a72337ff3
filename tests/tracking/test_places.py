"""What the store says after the checkout was moved, and of experiments that ran nothing."""

import json
import shutil
import subprocess
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest

from bhasa.stages import tracked
from bhasa.tracking import serve

with warnings.catch_warnings(action="ignore"):
    from bhasa.tracking.experiments import catch_up
    from bhasa.tracking.store import Store as Location

REPORTS = {
    "pretrain": {"validation_loss": 2.5, "parameters": 7},
    "evaluate": {"finetuned": {"perplexity": 9.5, "bits_per_byte": 1.5}},
}
FIGURES = {"loss": 2.5, "parameters": 7, "perplexity": 9.5, "bits_per_byte": 1.5}


def write_reports(folder: Path) -> None:
    (folder / "reports").mkdir(exist_ok=True)
    for stage, values in REPORTS.items():
        (folder / "reports" / f"{stage}.json").write_text(json.dumps(values))


@pytest.mark.parametrize("move", [shutil.copytree, shutil.move])
def test_a_checkout_that_was_copied_or_moved_has_its_artifacts_at_its_own_place(
    params: Path, root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, open_store, move
) -> None:
    first, second = tmp_path / "first place", tmp_path / "second place"
    with tracked("ingest", params):
        pass  # the store is there
    shutil.copytree(root, first)
    monkeypatch.setenv("DVC_ROOT", str(first))
    for name, text in (("a.txt", "written before"), ("b.txt", "written after")):
        (tmp_path / name).write_text(text)
    with tracked("evaluate", params) as tracker:
        tracker.log_file(tmp_path / "a.txt")
    move(first, second)
    shutil.rmtree(first, ignore_errors=True)
    monkeypatch.setenv("DVC_ROOT", str(second))
    with tracked("export", params) as tracker:
        tracker.log_file(tmp_path / "b.txt")
    assert not first.exists()
    store = open_store(second, params)
    assert store.artifact(store.only("evaluate"), "a.txt") == "written before"
    assert store.artifact(store.only("export"), "b.txt") == "written after"
    assert list((second / "mlartifacts").rglob("b.txt"))


def test_a_parent_shows_the_figures_of_stages_that_came_from_the_cache(params: Path, store) -> None:
    write_reports(params.parent)
    with tracked("export", params):
        pass
    parent = store.only("pipeline")
    assert parent.data.metrics == FIGURES
    note = parent.data.tags["mlflow.note.content"]
    assert "perplexity **9.5**" in note
    assert "model tiny" in note


def test_a_parent_shows_no_figures_of_stages_that_are_still_to_come(params: Path, store) -> None:
    write_reports(params.parent)  # of an earlier run
    with tracked("pretrain", params):
        pass
    assert store.only("pipeline").data.metrics == {"loss": 2.5, "parameters": 7}


@pytest.fixture
def experiment(root: Path, params: Path) -> Iterator[str]:
    """An experiment as DVC keeps it, in the Git repository of the main workspace."""

    def git(*arguments: str) -> str:
        command = ["git", "-c", "user.name=a", "-c", "user.email=a@b", *arguments]
        return subprocess.run(command, cwd=root, check=True, capture_output=True, text=True).stdout.strip()

    git("init", "-q")
    shutil.copy(params, root)
    (root / "pipeline").mkdir(exist_ok=True)
    (root / "pipeline" / "a.yaml").write_text("a: 1\n")
    write_reports(root)
    git("add", "params.yaml", "pipeline", "reports")
    git("commit", "-qm", "first")
    baseline = git("rev-parse", "HEAD")
    git("commit", "-q", "--allow-empty", "-m", "experiment")
    git("update-ref", "refs/exps/ab/cdef/dozy-daws", "HEAD")
    git("update-ref", "refs/exps/exec/EXEC_HEAD", "HEAD")
    git("reset", "-q", "--hard", baseline)
    yield "dozy-daws"
    git("update-ref", "-d", "refs/exps/ab/cdef/dozy-daws")


def test_an_experiment_out_of_the_cache_gets_its_run(root: Path, store, experiment: str) -> None:
    for _ in range(2):
        catch_up(Location(root))
        run = store.only("pipeline")
        assert (run.info.run_name, run.info.status, run.data.metrics) == (experiment, "FINISHED", FIGURES)
        assert run.data.params["model.size"] == "tiny"


def test_an_experiment_that_ran_in_part_keeps_its_run(root: Path, store, experiment: str) -> None:
    with tracked("ingest", root / "params.yaml"):
        pass
    assert store.only("pipeline").data.metrics == {}
    catch_up(Location(root))
    assert store.only("pipeline").data.metrics == FIGURES


def test_the_page_has_a_view_whose_list_shows_the_figures(
    root: Path, store, params: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    with tracked("ingest", params):
        pass  # the store is there
    monkeypatch.setattr("os.execve", lambda *command: None)
    serve(5001)
    (experiment,) = store.client.search_experiments(filter_string="name = 'bhasa'")
    assert f"experiments/{experiment.experiment_id}/runs?viewStateShareKey=figures" in capfd.readouterr().out
    shown = json.loads(experiment.tags["mlflow.sharedViewState.figures"])["selectedColumns"]
    assert {"metrics.`perplexity`", "metrics.`loss`", "metrics.`tokens_per_second`"} <= set(shown)
