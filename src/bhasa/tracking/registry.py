"""Versions of the registered model, and which of them is the champion.

`models:/bhasa@champion` moves to a new version only when that is better: fewer bits per byte on the same
test texts, which their hash names. Where the texts differ, or nobody measured them, the figures say nothing
about which is better, and the alias stays until `bhasa promote` moves it.
"""

import os
from collections.abc import Mapping, Sequence
from contextlib import redirect_stderr
from io import StringIO
from pathlib import Path
from typing import Any

import mlflow.pyfunc
from mlflow import MlflowClient
from mlflow.entities.model_registry import ModelVersion
from mlflow.exceptions import MlflowException
from mlflow.models import ModelSignature
from mlflow.types import ColSpec, DataType, ParamSchema, ParamSpec, Schema
from mlflow.types.schema import Array, Object, Property

from bhasa.errors import UserError
from bhasa.tracking.data_hash import dvc_hash
from bhasa.tracking.record import say

CHAMPION = "champion"
SCORE, TEXTS, MODEL = "bits_per_byte", "test_texts_sha256", "model_sha256"


def register(
    client: MlflowClient,
    run_id: str,
    *,
    name: str,
    code: str,
    folder: str,
    content: str,
    params: Mapping[str, int | float],
    packages: Sequence[str],
    figures: Mapping[str, Any],
) -> None:
    """Add a version, and make it the champion if it is better; one line says whether and why.

    A pipeline run has one version: called again, this finishes what it had begun.
    """
    there = client.search_model_versions(f"name = '{name}' and run_id = '{run_id}'")
    if not there and dvc_hash(Path(folder)) != content:
        raise ValueError(f"{folder} was replaced before it was registered; run `dvc repro -f export`")
    number = str(there[0].version) if there else _log(client, run_id, name, code, folder, params, packages)
    for key, value in figures.items():
        client.set_model_version_tag(name, number, key, str(value))
    client.update_model_version(name, number, description(figures))
    earlier = champion(client, name)
    better, why = compare({k: str(v) for k, v in figures.items()}, earlier.tags if earlier else None)
    if better:
        client.set_registered_model_alias(name, CHAMPION, number)
        say(f"version {number} of the registered model is the champion: {why}")
    else:
        say(f"version {number} of the registered model is not the champion: {why}; `bhasa promote {number}`")


def compare(new: Mapping[str, str], old: Mapping[str, str] | None) -> tuple[bool, str]:
    """Whether a version with the tags `new` takes the place of the champion with the tags `old`, and why."""
    if old is None:
        return True, "it is the first"
    if new.get(MODEL) and new.get(MODEL) == old.get(MODEL):
        return True, "it is the same model, exported anew"
    if SCORE not in new or SCORE not in old:
        return False, "there are no bits per byte of both to compare"
    if TEXTS not in new or new[TEXTS] != old.get(TEXTS):
        return False, "the champion was measured on other test texts"
    score, best = float(new[SCORE]), float(old[SCORE])
    sentence = f"{score:.4f} bits per byte against {best:.4f} on the same test texts"
    return score < best, sentence


def champion(client: MlflowClient, name: str) -> ModelVersion | None:
    """The version that the alias names, if there is one."""
    try:
        return client.get_model_version_by_alias(name, CHAMPION)
    except MlflowException as error:
        if error.get_http_status_code() >= 500:  # not answered, rather than answered with no
            raise
        return None


def promote(client: MlflowClient, name: str, number: int | None) -> str:
    """Make a version, or the newest, the champion by hand; what was done."""
    numbers = sorted(int(v.version) for v in client.search_model_versions(f"name = '{name}'"))
    if not numbers:
        raise UserError("no model is registered yet; `dvc repro` registers what it exports")
    chosen = numbers[-1] if number is None else number
    if chosen not in numbers:
        raise UserError(f"no version {chosen} of the registered model; there are {numbers}")
    earlier = champion(client, name)
    client.set_registered_model_alias(name, CHAMPION, str(chosen))
    before = f"; it was version {earlier.version}" if earlier else ""
    return f"version {chosen} is the champion now{before}"


def description(figures: Mapping[str, Any]) -> str:
    """What a version is, for its page."""
    shown = [f"- {key.replace('_', ' ')}: {value}" for key, value in figures.items()]
    return "\n".join(["A text generator, trained, tuned, measured and exported by bhasa.", "", *shown])


def _log(
    client: MlflowClient,
    run_id: str,
    name: str,
    code: str,
    folder: str,
    params: Mapping[str, int | float],
    packages: Sequence[str],
) -> str:
    given = os.environ.get("MLFLOW_TRACKING_URI")
    mlflow.set_tracking_uri(client.tracking_uri)  # logging a model takes no client
    try:
        with redirect_stderr(StringIO()), mlflow.start_run(run_id=run_id):
            model = mlflow.pyfunc.log_model(
                name=name,
                python_model=code,
                artifacts={"model": folder},
                signature=signature(params),
                pip_requirements=list(packages),
                registered_model_name=name,
            )
    finally:
        mlflow.set_tracking_uri(given)  # type: ignore[arg-type]  # None means not set
    return str(model.registered_model_version)


def signature(params: Mapping[str, int | float]) -> ModelSignature:
    """Rows with a prompt or messages in, texts out, and the prediction parameters with their defaults."""
    types = [ParamSpec(key, "double" if isinstance(v, float) else "long", v) for key, v in params.items()]
    message = Object([Property("role", DataType.string), Property("content", DataType.string)])
    prompt = ColSpec("string", "prompt", required=False)
    rows = Schema([prompt, ColSpec(Array(message), "messages", required=False)])
    return ModelSignature(rows, Schema([ColSpec("string")]), ParamSchema(types))
