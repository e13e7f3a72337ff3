"""Which MLflow run a stage belongs to.

The store is `mlflow.db` of the main workspace, also for a queued experiment that runs in a temporary
copy, unless MLFLOW_TRACKING_URI names another. One parent run stands for one pipeline run, and each stage
is a child of it. Stages are separate processes that share no memory and perhaps no folder, so they find
each other by a tag: the experiment's name, or else the commit, with a hash of params.yaml and the presets.
"""

import hashlib
import os
import sqlite3
import subprocess
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock
from mlflow import MlflowClient
from mlflow.entities import Run

from bhasa.journal import sha256_file

EXPERIMENT = "bhasa"
PIPELINE_TAG, STAGE_TAG, PARENT_TAG = "bhasa.pipeline", "bhasa.stage", "mlflow.parentRunId"
LOCK_SECONDS = 120


@dataclass(frozen=True)
class Place:
    """A stage's run in the store and the parent it hangs under."""

    client: MlflowClient
    stage: str
    run: Run
    parent: Run


def join(stage: str, params: Path) -> Place:
    """Find or make the runs of `stage` and of its pipeline, and mark both as running.

    A parent that has this stage finished belongs to an earlier pipeline run. A stage that was stopped goes
    on in its old run, so its curves stay whole; one that failed keeps its run as a record.
    """
    root = Path(os.environ.get("DVC_ROOT") or Path.cwd()).absolute()
    (root / ".bhasa").mkdir(exist_ok=True)
    commit = _commit(params.absolute().parent)
    key = _pipeline_key(params, commit)
    # Two processes that create one database break it, and two that look for a parent make two.
    with FileLock(root / ".bhasa" / "mlflow.lock", timeout=LOCK_SECONDS):
        client, experiment = _connect(root)
        parent = _newest(client, experiment, {PIPELINE_TAG: key, STAGE_TAG: "pipeline"})
        child = parent and _newest(client, experiment, {PARENT_TAG: parent.info.run_id, STAGE_TAG: stage})
        if parent is None or (child and child.info.status == "FINISHED"):
            name = os.environ.get("DVC_EXP_NAME") or f"{commit[:7]}-{key[:6]}"
            parent = client.create_run(experiment, run_name=name, tags=_tags("pipeline", key, commit))
            child = None
        if child is None or child.info.status == "FAILED":
            tags = _tags(stage, key, commit) | {PARENT_TAG: parent.info.run_id}
            child = client.create_run(experiment, run_name=stage, tags=tags)
        for run in (parent, child):
            client.update_run(run.info.run_id, status="RUNNING")
    return Place(client, stage, child, parent)


def _connect(root: Path) -> tuple[MlflowClient, str]:
    """A client and the experiment's id; both database and experiment are made when they are missing."""
    given = os.environ.get("MLFLOW_TRACKING_URI")
    uri = given or f"sqlite:///{root / 'mlflow.db'}"
    if not given:
        _require_writable(root / "mlflow.db")
    client = MlflowClient(tracking_uri=uri, registry_uri=uri)
    if experiment := client.get_experiment_by_name(EXPERIMENT):
        return client, experiment.experiment_id
    # A server knows its own place for artifacts; without one they lie beside the database, not in the cwd.
    location = None if given else (root / "mlartifacts").as_uri()
    return client, client.create_experiment(EXPERIMENT, artifact_location=location)


def _require_writable(database: Path) -> None:
    """Fail at once: MLflow goes on trying for 100 seconds to open what cannot be opened."""
    with closing(sqlite3.connect(database)) as connection:
        connection.execute("begin immediate")
        connection.rollback()


def _newest(client: MlflowClient, experiment: str, tags: dict[str, str]) -> Run | None:
    wanted = " and ".join(f"tags.`{name}` = '{value}'" for name, value in tags.items())
    found = client.search_runs([experiment], wanted, order_by=["attributes.start_time DESC"], max_results=1)
    return found[0] if found else None


def _tags(stage: str, key: str, commit: str) -> dict[str, str]:
    source = {"mlflow.source.name": f"bhasa {stage}", "mlflow.source.git.commit": commit}
    return {STAGE_TAG: stage, PIPELINE_TAG: key} | source


def _pipeline_key(params: Path, commit: str) -> str:
    presets = sorted((params.absolute().parent / "pipeline").rglob("*.yaml"))
    parts = [os.environ.get("DVC_EXP_NAME") or commit, *map(sha256_file, [params, *presets])]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]


def _commit(folder: Path) -> str:
    command = ["git", "rev-parse", "--verify", "HEAD"]
    found = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    return found.stdout.strip() or "uncommitted"
