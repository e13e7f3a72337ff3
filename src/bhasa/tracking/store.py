"""Which MLflow run a stage belongs to.

The store is `mlflow.db` of the main workspace, also for a queued experiment that runs in a temporary copy,
unless MLFLOW_TRACKING_URI names another. One parent run stands for one pipeline run, and each stage is a
child of it. Stages are separate processes that share no memory and perhaps no folder, so they find each other
by a tag: a hash of the commit, of params.yaml and of the presets. An experiment's name is no part of it,
because DVC gives another one to the same experiment when it is started again after a stop.
"""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock
from mlflow import MlflowClient
from mlflow.entities import Run

EXPERIMENT = "bhasa"
PIPELINE_TAG, STAGE_TAG, PARENT_TAG = "bhasa.pipeline", "bhasa.stage", "mlflow.parentRunId"
PIPELINE = "pipeline"
LOCK_SECONDS = 120
_PLACES = (
    ("experiments", "artifact_location"),
    ("runs", "artifact_uri"),
    ("logged_models", "artifact_location"),
    ("model_versions", "source"),
    ("model_versions", "storage_location"),
)


@dataclass(frozen=True)
class Place:
    """A stage's run in the store and the parent it hangs under."""

    client: MlflowClient
    run: Run
    parent: Run


class Store:
    """The MLflow store of the workspace `root`."""

    def __init__(self, root: Path) -> None:
        self.root = root
        given = os.environ.get("MLFLOW_TRACKING_URI")
        self.local = given is None
        self.uri = given or f"sqlite:///{root / 'mlflow.db'}"
        # A server knows its own place for artifacts; without one they lie beside the database.
        self.artifacts = (root / "mlartifacts").as_uri() if self.local else None

    def join(self, opening: dict[str, Any]) -> Place:
        """Find or make the runs of a stage and of its pipeline, and mark both as running.

        A parent that has this stage finished belongs to an earlier pipeline run. A stage that was stopped,
        killed or failed goes on in its old run, so its curves stay whole.
        """
        stage = opening["stage"]
        with self.connected() as (client, experiment):
            parent = self.find_parent(client, experiment, opening["key"])
            child = parent and _newest(client, experiment, {PARENT_TAG: parent.info.run_id, STAGE_TAG: stage})
            if parent is None or (child and child.info.status == "FINISHED"):
                parent, child = self.new_parent(client, experiment, opening), None
            name = f"{opening['name']} {stage}"
            if child is None:
                tags = _tags(stage, opening) | {PARENT_TAG: parent.info.run_id}
                child = client.create_run(experiment, run_name=name, tags=tags)
            client.update_run(parent.info.run_id, status="RUNNING", name=opening["name"])
            client.update_run(child.info.run_id, status="RUNNING", name=name)
        return Place(client, child, parent)

    @staticmethod
    def find_parent(client: MlflowClient, experiment: str, key: str) -> Run | None:
        """The newest run of the pipeline run that `key` names."""
        return _newest(client, experiment, {PIPELINE_TAG: key, STAGE_TAG: PIPELINE})

    @staticmethod
    def new_parent(client: MlflowClient, experiment: str, opening: dict[str, Any]) -> Run:
        """Make the run that stands for a pipeline run."""
        return client.create_run(experiment, run_name=opening["name"], tags=_tags(PIPELINE, opening))

    @contextmanager
    def connected(self) -> Iterator[tuple[MlflowClient, str]]:
        """A client and the experiment's id, under a lock; what is missing is made.

        Two processes that create one database break it, and two that look for a parent make two.
        """
        with FileLock(self.root / ".bhasa" / "mlflow.lock", timeout=LOCK_SECONDS):
            if self.artifacts:
                _require_writable(self.root / "mlflow.db")
            client = MlflowClient(tracking_uri=self.uri, registry_uri=self.uri)
            found = client.get_experiment_by_name(EXPERIMENT)
            if found is None:
                experiment = client.create_experiment(EXPERIMENT, artifact_location=self.artifacts)
            else:
                experiment = found.experiment_id
                if self.artifacts and found.artifact_location != self.artifacts:
                    _relocate(self.root / "mlflow.db", found.artifact_location, self.artifacts)
            yield client, experiment


def _newest(client: MlflowClient, experiment: str, tags: dict[str, str]) -> Run | None:
    """The run that was begun last among those with these tags."""
    wanted = " and ".join(f"tags.`{name}` = '{value}'" for name, value in tags.items())
    found = client.search_runs([experiment], wanted, order_by=["attributes.start_time DESC"], max_results=1)
    return found[0] if found else None


def _tags(stage: str, opening: dict[str, Any]) -> dict[str, str]:
    source = {"mlflow.source.name": f"bhasa {stage}", "mlflow.source.git.commit": opening["commit"]}
    return {STAGE_TAG: stage, PIPELINE_TAG: opening["key"]} | source


def _require_writable(database: Path) -> None:
    """Fail at once: MLflow goes on trying for 100 seconds to open what cannot be opened."""
    with closing(sqlite3.connect(database)) as connection:
        connection.execute("begin immediate")
        connection.rollback()


def _relocate(database: Path, old: str, new: str) -> None:
    """Follow a workspace that was moved or copied: MLflow keeps absolute places of artifacts only."""
    with closing(sqlite3.connect(database)) as connection, connection:
        for table, column in _PLACES:
            connection.execute(
                f"update {table} set {column} = ? || substr({column}, ?) where substr({column}, 1, ?) = ?",
                (new, len(old) + 1, len(old), old),
            )
