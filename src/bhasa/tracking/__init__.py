"""What each run did, shown in MLflow; no other package knows MLflow.

`open_run` gives a `Tracker` for one stage of one pipeline run. What it is told it writes to disk, and a
thread sends it: MLflow shows what the journal and the reports already hold, so it may be away for a while or
for good, and costs a run nothing but one line on standard error. This module is light; MLflow itself takes
seconds to import and loads when a run opens.
"""

import hashlib
import logging
import os
import subprocess
import sys
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from bhasa.errors import Stopped
from bhasa.journal import sha256_file
from bhasa.params import read_mapping

if TYPE_CHECKING:
    from bhasa.tracking.record import Recorder
    from bhasa.tracking.sender import Sender

RECORDS = ".bhasa/tracking"

# No telemetry, no chatter, and seconds instead of minutes until an unreachable server counts as failed.
MLFLOW_SETTINGS = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",
}


class Tracker(Protocol):
    """What a stage may tell about itself. No method raises, whatever the store does."""

    def log_params(self, values: Mapping[str, Any]) -> None:
        """Parameters, nested as they are: flat with dotted keys for comparing, whole in `params.json`."""

    def log_metrics(self, values: Mapping[str, float], step: int | None = None) -> None:
        """Numbers at a step, or figures of the whole run."""

    def follow(self, journal: Path) -> AbstractContextManager[object]:
        """Tell of what a run writes into its journal while the block lasts, beside it."""

    def log_file(self, path: Path) -> None:
        """A copy of a file, under its own name."""

    def log_folder(self, path: Path) -> None:
        """A copy of a folder, under its own name."""

    def log_input(self, name: str, path: Path, context: str) -> None:
        """A data set that was read for `context` (e.g. `training`): no copy, but DVC's hash of it."""

    def register_model(
        self,
        name: str,
        code: Path,
        folder: Path,
        *,
        params: Mapping[str, int | float],
        packages: Sequence[str],
        figures: Mapping[str, float | str],
    ) -> None:
        """A new version of the registered text generator `name`, and its champion if `figures` are better.

        `code` is a models-from-code file that finds `folder` as its artifact `model`, takes prompts in the
        column `prompt` and the prediction parameters `params` (defaults, by which their types are known),
        and needs `packages`, which are pinned as installed.
        """


class NullTracker:
    """No-op tracker."""

    def log_params(self, values: Mapping[str, Any]) -> None: ...
    def log_metrics(self, values: Mapping[str, float], step: int | None = None) -> None: ...
    def follow(self, journal: Path) -> AbstractContextManager[object]:
        return nullcontext()

    def log_file(self, path: Path) -> None: ...
    def log_folder(self, path: Path) -> None: ...
    def log_input(self, name: str, path: Path, context: str) -> None: ...
    def register_model(
        self,
        name: str,
        code: Path,
        folder: Path,
        *,
        params: Mapping[str, int | float],
        packages: Sequence[str],
        figures: Mapping[str, float | str],
    ) -> None: ...


@contextmanager
def open_run(stage: str, *, params: Path) -> Iterator[Tracker]:
    """Track `stage` of the pipeline run that `params` (params.yaml) describes, until the block ends."""
    from bhasa.tracking import figures

    opening = describe(stage, params, _commit(params.absolute().parent), os.environ.get("DVC_EXP_NAME"))
    reports = params.absolute().parent / "reports"
    opened = _open(opening)
    if opened is None:
        yield NullTracker()
        return
    recorder, sender = opened
    known = figures.read(reports, figures.before(stage))
    recorder.figures(known, figures.note(opening, known))
    try:
        yield recorder
    except BaseException as error:
        recorder.end("KILLED" if isinstance(error, Stopped | KeyboardInterrupt) else "FAILED")
        sender.close()
        raise
    known = figures.read(reports, (*figures.before(stage), stage))
    recorder.figures(known, figures.note(opening, known))
    recorder.end("FINISHED")
    sender.close()


def workspace() -> Path:
    """The main workspace, which has the store, also in a queued experiment's copy."""
    return Path(os.environ.get("DVC_ROOT") or Path.cwd()).absolute()


def describe(stage: str, params: Path, commit: str, experiment: str | None) -> dict[str, Any]:
    """Whose record it is: the stage, the pipeline run that it belongs to, and the parameters."""
    presets = sorted((params.absolute().parent / "pipeline").rglob("*.yaml"))
    parts = [commit, *map(sha256_file, [params, *presets])]
    values = read_mapping(params)
    chosen = (values.get("model", {}).get("size"), values.get("training", {}).get("preset"))
    return {
        "stage": stage,
        "key": hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16],
        "commit": commit,
        "name": experiment or "-".join(str(part) for part in chosen if part),
        "params": values,
    }


def _open(opening: Mapping[str, Any]) -> "tuple[Recorder, Sender] | None":
    from bhasa.tracking.record import Record, Recorder, say

    records = workspace() / RECORDS
    try:
        _quieten()
        from bhasa.tracking.sender import Sender
        from bhasa.tracking.store import Store

        record = Record.begin(records, opening)
    except Exception as error:  # a full disk, or an MLflow that does not import
        say(f"this run is not tracked: {error}")
        return None
    sender = Sender(Store(workspace()), record, records)
    sender.start()
    return Recorder(record, say), sender


def promote(name: str, version: int | None) -> str:
    """Make a version, or the newest, the champion of the registered model `name`; a sentence about it.

    Raises `UserError` where there is no such version.
    """
    _quieten()
    from bhasa.tracking import registry
    from bhasa.tracking.store import Store

    with Store(workspace()).connected() as (client, _):
        return registry.promote(client, name, version)


def serve(port: int) -> None:
    """Become MLflow's page, once the store has what earlier runs and DVC's cache have."""
    _quieten()
    from bhasa.tracking import experiments, figures
    from bhasa.tracking.sender import send_left
    from bhasa.tracking.store import Store

    store = Store(workspace())
    send_left(store, workspace() / RECORDS)
    experiments.catch_up(store)
    if not store.local:
        print(f"the runs are on the server that MLFLOW_TRACKING_URI names: {store.uri}")
        return
    with store.connected() as (client, experiment):
        client.set_experiment_tag(experiment, figures.VIEW_TAG, figures.view())
        page = f"http://127.0.0.1:{port}/#/experiments/{experiment}/runs"
    print(f"when the page is up, all runs with their figures: {page}?viewStateShareKey={figures.VIEW}")
    print(f"side by side as charts: {page}?compareRunsMode=CHART", flush=True)
    options = ["--backend-store-uri", store.uri, "--workers", "1", "--host", "127.0.0.1", "--port", str(port)]
    # Otherwise a job runner and seven more processes start, which nothing here uses.
    environment = os.environ | {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    os.execve(sys.executable, [sys.executable, "-m", "mlflow", "ui", *options], environment)


def _quieten() -> None:
    """Load MLflow without its telemetry and chatter; its warnings stay off, since threads share them."""
    for name, value in MLFLOW_SETTINGS.items():
        os.environ.setdefault(name, value)
    with warnings.catch_warnings(action="ignore"):
        import mlflow  # noqa: F401
    warnings.filterwarnings("ignore", module="mlflow|alembic|sqlalchemy")
    for noisy in ("mlflow", "alembic", "sqlalchemy"):
        logging.getLogger(noisy).setLevel(logging.CRITICAL)


def _commit(folder: Path) -> str:
    command = ["git", "rev-parse", "--verify", "HEAD"]
    try:
        found = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    except OSError:  # no git here
        return "uncommitted"
    return found.stdout.strip() or "uncommitted"
