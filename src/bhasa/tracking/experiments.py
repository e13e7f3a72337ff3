"""The experiments that DVC keeps in Git: what came out of its cache has run nothing, and so told nothing.

An experiment is a commit under `refs/exps`, with its params.yaml, presets and reports; its parent is the
commit that it was started from.
"""

import io
import subprocess
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from mlflow import MlflowClient

from bhasa.stages import STAGES
from bhasa.tracking import describe, figures
from bhasa.tracking.record import Call, now
from bhasa.tracking.run import flat, send_figures, send_params
from bhasa.tracking.store import Store

OF_DVC_ITSELF = ("exec", "stash", "celery", "apply")


def catch_up(store: Store) -> None:
    """Give each experiment a run in the store, if it has none, and the figures that are missing in it."""
    for name, commit in _experiments(store.root):
        with _files(store.root, commit) as folder, store.connected() as (client, experiment):
            opening = describe("", folder / "params.yaml", _git(store.root, "rev-parse", f"{commit}^"), name)
            _complete(client, experiment, opening, figures.read(folder / "reports", STAGES))


def _complete(client: MlflowClient, experiment: str, opening: Call, known: dict[str, float]) -> None:
    parent = Store.find_parent(client, experiment, opening["key"])
    if parent and (parent.info.status == "RUNNING" or known.keys() <= parent.data.metrics.keys()):
        return
    run_id = (parent or Store.new_parent(client, experiment, opening)).info.run_id
    send_params(client, run_id, flat(opening["params"]), dict(parent.data.params) if parent else {})
    send_figures(client, run_id, known, figures.note(opening, known), now())
    client.set_terminated(run_id, "FINISHED")


def _experiments(root: Path) -> Iterator[tuple[str, str]]:
    """The name and the commit of each experiment."""
    for line in _git(root, "for-each-ref", "--format=%(objectname) %(refname)", "refs/exps").splitlines():
        commit, ref = line.split(" ", 1)
        kind, name = ref.split("/")[2], ref.split("/")[-1]
        if kind not in OF_DVC_ITSELF:
            yield name, commit


@contextmanager
def _files(root: Path, commit: str) -> Iterator[Path]:
    """A folder with what an experiment chose and reported."""
    command = ["git", "archive", commit, "params.yaml", "pipeline", "reports"]
    packed = subprocess.run(command, cwd=root, capture_output=True).stdout
    with TemporaryDirectory() as folder, tarfile.open(fileobj=io.BytesIO(packed)) as files:
        files.extractall(folder, filter="data")
        yield Path(folder)


def _git(root: Path, *arguments: str) -> str:
    found = subprocess.run(["git", *arguments], cwd=root, capture_output=True, text=True)
    return found.stdout.strip()
