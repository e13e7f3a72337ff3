"""A `Tracker` that writes to one MLflow run.

One call to the store costs some 30 ms, so metrics wait in a buffer and go out together every few seconds.
The first call that fails ends the tracking, with a warning, and never the run.
"""

import functools
import json
import os
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stderr
from importlib.metadata import version
from io import StringIO
from pathlib import Path
from typing import Any, Concatenate
from typing import ParamSpec as Parameters

import mlflow.pyfunc
from mlflow.entities import Dataset, DatasetInput, InputTag, Metric, Param
from mlflow.models import ModelSignature
from mlflow.types import ColSpec, ParamSchema, ParamSpec, Schema

from bhasa.errors import Stopped
from bhasa.journal import Journal
from bhasa.params import read_mapping
from bhasa.tracking import warn
from bhasa.tracking.data_hash import dvc_hash
from bhasa.tracking.store import Place

FLUSH_SECONDS = 5.0
METRICS_PER_CALL, PARAMS_PER_CALL = 1000, 100  # MLflow refuses more
CHAMPION = "champion"

P = Parameters("P")
Method = Callable[Concatenate["MlflowRun", P], None]


def _harmless(method: Method[P]) -> Method[P]:
    """Make an error of the store a warning, and every later call do nothing."""

    @functools.wraps(method)
    def guarded(run: "MlflowRun", /, *args: P.args, **kwargs: P.kwargs) -> None:
        if run.lost:
            return
        try:
            with warnings.catch_warnings(action="ignore"):
                method(run, *args, **kwargs)
        except Stopped:  # from a signal handler, not from the store
            raise
        except Exception as error:
            run.lost = True
            warn(error)

    return guarded


class MlflowRun:
    """The methods are those of `Tracker`; `close` ends the run."""

    def __init__(self, place: Place, params: Path) -> None:
        self.lost = False
        self.client, self.stage = place.client, place.stage
        self.run_id, self.parent_id = place.run.info.run_id, place.parent.info.run_id
        self.logged = dict(place.run.data.params)
        self.last_step = {name: self._last_step(name) for name in place.run.data.metrics}
        self.latest: dict[str, float] = {}
        self.whole: dict[str, Any] = {}
        self.buffer: list[Metric] = []
        self.flushed = time.monotonic()
        values = read_mapping(params)
        self._send_params(self.parent_id, _flat(values), dict(place.parent.data.params))
        self.log_params(values)

    @_harmless
    def log_params(self, values: Mapping[str, Any]) -> None:
        flat = _flat(values)
        self._send_params(self.run_id, flat, self.logged)
        self.whole |= flat
        self.client.log_text(self.run_id, json.dumps(self.whole, indent=2, sort_keys=True), "params.json")

    @_harmless
    def log_metrics(self, values: Mapping[str, float], step: int = 0) -> None:
        self.latest |= values
        fresh = [name for name in values if step == 0 or step > self.last_step.get(name, 0)]
        self.buffer += [_metric(name, values[name], step) for name in fresh]
        if len(self.buffer) >= METRICS_PER_CALL or time.monotonic() - self.flushed >= FLUSH_SECONDS:
            self._flush()

    @contextmanager
    def follow(self, journal: Path) -> Iterator[None]:
        try:
            yield
        finally:
            for event in Journal(journal).read():
                self.log_metrics({key: value for key, value in event.items() if key != "step"}, event["step"])

    @_harmless
    def log_text(self, name: str, text: str) -> None:
        self.client.log_text(self.run_id, text, name)

    @_harmless
    def log_file(self, path: Path) -> None:
        self.client.log_artifact(self.run_id, str(path))

    @_harmless
    def log_folder(self, path: Path) -> None:
        self.client.log_artifacts(self.run_id, str(path), artifact_path=path.name)

    @_harmless
    def log_input(self, name: str, path: Path, context: str) -> None:
        source = json.dumps({"uri": path.as_posix()})
        dataset = Dataset(name, dvc_hash(path), source_type="local", source=source)
        tags = [InputTag("mlflow.data.context", context)]
        self.client.log_inputs(self.run_id, [DatasetInput(dataset, tags)])

    @_harmless
    def register_model(
        self,
        name: str,
        code: Path,
        folder: Path,
        *,
        params: Mapping[str, int | float],
        packages: Sequence[str],
        champion: bool,
        tags: Mapping[str, Any],
    ) -> None:
        requirements = [f"{package}=={version(package)}" for package in packages]
        given = os.environ.get("MLFLOW_TRACKING_URI")
        mlflow.set_tracking_uri(self.client.tracking_uri)  # logging a model takes no client
        try:
            with redirect_stderr(StringIO()), mlflow.start_run(run_id=self.run_id):
                model = mlflow.pyfunc.log_model(
                    name=name,
                    python_model=str(code),
                    artifacts={"model": str(folder)},
                    signature=_signature(params),
                    pip_requirements=requirements,
                    registered_model_name=name,
                )
        finally:
            mlflow.set_tracking_uri(given)  # type: ignore[arg-type]  # None means not set
        number = str(model.registered_model_version)
        for key, value in tags.items():
            self.client.set_model_version_tag(name, number, key, str(value))
        if champion:
            self.client.set_registered_model_alias(name, CHAMPION, number)

    def close(self, status: str) -> None:
        """Send what waits; give this run, and its parent until the next stage, the final `status`."""
        self._finish(status)

    @_harmless
    def _finish(self, status: str) -> None:
        self._flush()
        summary = [_metric(f"{self.stage}.{name}", value, 0) for name, value in self.latest.items()]
        self.client.log_batch(self.parent_id, metrics=summary[:METRICS_PER_CALL])
        for run_id in (self.run_id, self.parent_id):
            self.client.set_terminated(run_id, status)

    def _flush(self) -> None:
        while self.buffer:
            self.client.log_batch(self.run_id, metrics=self.buffer[:METRICS_PER_CALL])
            del self.buffer[:METRICS_PER_CALL]
        self.flushed = time.monotonic()

    def _send_params(self, run_id: str, flat: Mapping[str, Any], known: dict[str, str]) -> None:
        """MLflow never changes a parameter: a key keeps its first value there, `params.json` has the last."""
        fresh = [Param(key, _text(value)) for key, value in flat.items() if key not in known]
        for start in range(0, len(fresh), PARAMS_PER_CALL):
            self.client.log_batch(run_id, params=fresh[start : start + PARAMS_PER_CALL])
        known |= {param.key: param.value for param in fresh}

    def _last_step(self, name: str) -> int:
        return max(metric.step for metric in self.client.get_metric_history(self.run_id, name))


def _metric(name: str, value: float, step: int) -> Metric:
    return Metric(name, float(value), round(time.time() * 1000), step)


def _signature(params: Mapping[str, int | float]) -> ModelSignature:
    types = [ParamSpec(key, "double" if isinstance(v, float) else "long", v) for key, v in params.items()]
    text = Schema([ColSpec("string")])
    return ModelSignature(Schema([ColSpec("string", "prompt")]), text, ParamSchema(types))


def _flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in values.items():
        inner = _flat(value, f"{prefix}{key}.") if isinstance(value, Mapping) else {}
        flat |= inner or {f"{prefix}{key}": value}
    return flat


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)
