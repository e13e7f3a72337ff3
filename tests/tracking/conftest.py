"""One store for all tests of the tracker, because making its database takes seconds."""

import itertools
import re
import warnings
from pathlib import Path

import pytest

from bhasa.params import read_mapping

with warnings.catch_warnings(action="ignore"):
    from mlflow import MlflowClient
    from mlflow.entities import Run

SEEDS = itertools.count(100)


class Store:
    """What MLflow shows of the pipeline runs of one `params.yaml`."""

    def __init__(self, root: Path, params: Path) -> None:
        self.root, self.params = root, params
        with warnings.catch_warnings(action="ignore"):
            self.client = MlflowClient(f"sqlite:///{root / 'mlflow.db'}")

    def runs(self, stage: str) -> list[Run]:
        """The runs of `stage`, the oldest first; `pipeline` stands for the parents."""
        experiment = self.client.get_experiment_by_name("bhasa").experiment_id
        seed = read_mapping(self.params)["seed"]
        wanted = f"params.seed = '{seed}' and tags.`bhasa.stage` = '{stage}'"
        return self.client.search_runs([experiment], wanted, order_by=["attributes.start_time ASC"])

    def only(self, stage: str) -> Run:
        found = self.runs(stage)
        assert len(found) == 1
        return found[0]

    def artifact(self, run: Run, name: str) -> str:
        with warnings.catch_warnings(action="ignore"):
            return Path(self.client.download_artifacts(run.info.run_id, name)).read_text()

    def history(self, run: Run, metric: str) -> list[tuple[int, float]]:
        return sorted((m.step, m.value) for m in self.client.get_metric_history(run.info.run_id, metric))


@pytest.fixture(scope="session")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The main workspace."""
    return tmp_path_factory.mktemp("main workspace")


@pytest.fixture
def params(workspace: Path, root: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A `params.yaml` like no other, hence a pipeline run of its own, in the shared store."""
    monkeypatch.setenv("DVC_ROOT", str(root))
    path = workspace / "params.yaml"
    path.write_text(re.sub("seed: [0-9]+", f"seed: {next(SEEDS)}", path.read_text(), count=1))
    return path


@pytest.fixture
def store(root: Path, params: Path) -> Store:
    return Store(root, params)


@pytest.fixture
def open_store() -> type[Store]:
    return Store
