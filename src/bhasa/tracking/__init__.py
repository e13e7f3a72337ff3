"""What each run did, shown in MLflow; no other package knows MLflow.

`open_run` gives a `Tracker` for one stage of one pipeline run. MLflow shows what the journal and the
reports already hold, so it may fail: then one line on standard error says so and the run goes on
untracked. This module is light; MLflow itself takes seconds to import and loads when a run opens.
"""

import logging
import os
import sys
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from bhasa.errors import Stopped

if TYPE_CHECKING:
    from bhasa.tracking.run import MlflowRun

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

    def log_metrics(self, values: Mapping[str, float], step: int = 0) -> None:
        """Numbers at a step. After a restart the steps that were logged before are passed over."""

    def follow(self, journal: Path) -> AbstractContextManager[object]:
        """Tell of what a run writes into its journal while the block lasts, beside it."""

    def log_text(self, name: str, text: str) -> None:
        """A text kept with the run as the file `name`."""

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
        champion: bool,
        tags: Mapping[str, Any],
    ) -> None:
        """A new version of the registered text generator `name`, and its alias `champion` if it is one.

        `code` is a models-from-code file that finds `folder` as its artifact `model`, takes prompts in the
        column `prompt` and the prediction parameters `params` (defaults, by which their types are known),
        and needs `packages`, which are pinned as installed.
        """


class NullTracker:
    """No-op tracker."""

    def log_params(self, values: Mapping[str, Any]) -> None: ...
    def log_metrics(self, values: Mapping[str, float], step: int = 0) -> None: ...
    def follow(self, journal: Path) -> AbstractContextManager[object]:
        return nullcontext()

    def log_text(self, name: str, text: str) -> None: ...
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
        champion: bool,
        tags: Mapping[str, Any],
    ) -> None: ...


@contextmanager
def open_run(stage: str, *, params: Path) -> Iterator[Tracker]:
    """Track `stage` of the pipeline run that `params` (params.yaml) describes, until the block ends."""
    run = _open(stage, params)
    try:
        yield run or NullTracker()
    except BaseException as error:
        if run:
            run.close("KILLED" if isinstance(error, Stopped | KeyboardInterrupt) else "FAILED")
        raise
    if run:
        run.close("FINISHED")


def warn(error: Exception) -> None:
    """Say once, in one line, that the store failed."""
    reason = (str(error).splitlines() or [""])[0]
    what = "not tracked from here on, the run goes on"
    print(f"bhasa: {what}: {type(error).__name__}: {reason}", file=sys.stderr, flush=True)


def _open(stage: str, params: Path) -> "MlflowRun | None":
    for name, value in MLFLOW_SETTINGS.items():
        os.environ.setdefault(name, value)
    try:
        with warnings.catch_warnings(action="ignore"):
            from bhasa.tracking.run import MlflowRun
            from bhasa.tracking.store import join

            for noisy in ("mlflow", "alembic"):
                logging.getLogger(noisy).setLevel(logging.ERROR)
            return MlflowRun(join(stage, params), params)
    except Exception as error:
        warn(error)
        return None
