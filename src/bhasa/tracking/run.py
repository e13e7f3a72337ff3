"""One MLflow run, told what a record holds.

One call to the store costs some 30 ms, so metrics go out together. Every method may be called again with the
same arguments: what stands in the run already is not written a second time.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from mlflow import MlflowClient
from mlflow.entities import Dataset, DatasetInput, InputTag, Metric, Param, RunTag

from bhasa.tracking.record import ARTIFACTS, Call, Record, now
from bhasa.tracking.store import Store

METRICS_PER_CALL, PARAMS_PER_CALL = 1000, 100  # MLflow refuses more


class MlflowRun:
    """The run of one stage and the parent it hangs under, opened by the first line of a record."""

    def __init__(self, store: Store, opening: Call) -> None:
        place = store.join(opening)
        self.client, self.uploading = place.client, False
        self.origin = {"experiment": opening["name"], "commit": opening["commit"]}
        self.run_id, self.parent_id = place.run.info.run_id, place.parent.info.run_id
        self.logged = dict(place.run.data.params)
        self.figures = dict(place.run.data.metrics)
        self.last_step = {name: self._last_step(name) for name in self.figures}
        self.curves = {name for name, step in self.last_step.items() if step > 0}
        self.whole: dict[str, Any] = {}
        send_params(self.client, self.parent_id, flat(opening["params"]), dict(place.parent.data.params))
        self._params(opening["params"])

    def due(self, record: Record, calls: Sequence[Call]) -> Iterator[Callable[[], object]]:
        """What is to be done about `calls` and the journal's new lines, one step each.

        The caller has read `calls` before: what is told when a training has ended comes after its curves.
        """
        fresh = [metric for event in record.journal.new() for metric in self._of_event(event)]
        for start in range(0, len(fresh), METRICS_PER_CALL):
            yield partial(self.client.log_batch, self.run_id, metrics=fresh[start : start + METRICS_PER_CALL])
        for call in calls:
            details = {key: value for key, value in call.items() if key != "call"}
            if call["call"] == "artifact":
                details["source"] = record.folder / ARTIFACTS / call["name"]
            yield partial(getattr(self, f"_{call['call']}"), **details)

    def end(self, status: str) -> None:
        """Give this run, and its parent until the next stage, the final `status`."""
        for run_id in (self.run_id, self.parent_id):
            self.client.set_terminated(run_id, status)

    _end = end

    def _of_event(self, event: Mapping[str, Any]) -> list[Metric]:
        values = {k: float(v) for k, v in event.items() if k != "step" and isinstance(v, int | float)}
        return self._fresh(values, event["step"], now())

    def _params(self, values: Mapping[str, Any]) -> None:
        values = flat(values)
        send_params(self.client, self.run_id, values, self.logged)
        self.whole |= values
        self.client.log_text(self.run_id, json.dumps(self.whole, indent=2, sort_keys=True), "params.json")

    def _metrics(self, values: Mapping[str, float], step: int | None, time: int) -> None:
        """A figure without a step is one of the whole run; where a curve has its name, its end says it."""
        if step is None:
            values = {n: v for n, v in values.items() if n not in self.curves and self.figures.get(n) != v}
            self.figures |= values
            metrics = [Metric(name, value, time, 0) for name, value in values.items()]
        else:
            metrics = self._fresh(values, step, time)
        for start in range(0, len(metrics), METRICS_PER_CALL):
            self.client.log_batch(self.run_id, metrics=metrics[start : start + METRICS_PER_CALL])

    def _fresh(self, values: Mapping[str, float], step: int, time: int) -> list[Metric]:
        self.curves |= values.keys()
        fresh = [name for name in values if step > self.last_step.get(name, -1)]
        self.last_step |= dict.fromkeys(fresh, step)
        return [Metric(name, values[name], time, step) for name in fresh]

    def _artifact(self, name: str, source: Path) -> None:
        if source.is_dir():
            self.client.log_artifacts(self.run_id, str(source), artifact_path=name)
        else:
            above = "/".join(name.split("/")[:-1])
            self.client.log_artifact(self.run_id, str(source), artifact_path=above or None)

    def _input(self, name: str, digest: str, uri: str, context: str) -> None:
        dataset = Dataset(name, digest, source_type="local", source=json.dumps({"uri": uri}))
        given = [DatasetInput(dataset, [InputTag("mlflow.data.context", context)])]
        for run_id in (self.run_id, self.parent_id):
            self.client.log_inputs(run_id, given)

    def _figures(self, values: Mapping[str, float], note: str, time: int) -> None:
        send_figures(self.client, self.parent_id, values, note, time)

    def _register(self, **details: Any) -> None:
        from bhasa.tracking import registry  # seconds to import, and only `export` needs it

        self.uploading = True
        try:
            details["figures"] |= self.origin
            registry.register(self.client, self.parent_id, **details)
        finally:
            self.uploading = False

    def _last_step(self, name: str) -> int:
        return max(metric.step for metric in self.client.get_metric_history(self.run_id, name))


def send_params(client: MlflowClient, run_id: str, values: Mapping[str, Any], known: dict[str, str]) -> None:
    """MLflow never changes a parameter: a key keeps its first value there, `params.json` has the last."""
    fresh = [Param(key, _text(value)) for key, value in values.items() if key not in known]
    for start in range(0, len(fresh), PARAMS_PER_CALL):
        client.log_batch(run_id, params=fresh[start : start + PARAMS_PER_CALL])
    known |= {param.key: param.value for param in fresh}


def send_figures(
    client: MlflowClient, run_id: str, values: Mapping[str, float], note: str, time: int
) -> None:
    """Put on a run what is not there yet of its figures, and the sentences about it."""
    there = client.get_run(run_id).data.metrics
    metrics = [Metric(n, v, time, 0) for n, v in values.items() if there.get(n) != v]
    client.log_batch(run_id, metrics=metrics, tags=[RunTag("mlflow.note.content", note)])


def flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested values under dotted keys."""
    found: dict[str, Any] = {}
    for key, value in values.items():
        inner = flat(value, f"{prefix}{key}.") if isinstance(value, Mapping) else {}
        found |= inner or {f"{prefix}{key}": value}
    return found


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)
