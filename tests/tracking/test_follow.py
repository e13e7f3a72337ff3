"""What stands in MLflow after kills, and with a store that is slow, away or full of itself."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from bhasa.journal import Journal
from bhasa.stages import tracked
from bhasa.tracking import sender
from bhasa.tracking.record import Lines, Record

PROGRAM = Path(__file__).with_name("tracked_training.py")


def train(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(PROGRAM), *map(str, arguments)]
    return subprocess.run(command, text=True, capture_output=True)


def run_steps(
    params: Path, journal: Journal, first: int, last: int, end: BaseException | None = None
) -> None:
    with tracked("pretrain", params) as tracker, tracker.follow(journal.path):
        for step in range(first, last):
            journal.append({"step": step, "loss": 1 / (step + 1), "grad_norm": 1.0 * step})
        if end:
            raise end


def whole(last: int) -> list[tuple[int, float]]:
    return [(step, 1 / (step + 1)) for step in range(last)]


@pytest.fixture
def journal(workspace: Path) -> Journal:
    return Journal(workspace / "run" / "journal.jsonl")


@pytest.fixture
def hung_server(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A server that accepts connections and never answers."""
    with socket.create_server(("127.0.0.1", 0), backlog=50) as server:
        monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{server.getsockname()[1]}")
        monkeypatch.setattr(sender, "PATIENCE", 1.0)
        yield


@pytest.mark.slow
def test_a_training_killed_at_any_steps_has_each_step_once(params: Path, store) -> None:
    for step in (9, 14, 22):
        assert train(step).returncode == -signal.SIGKILL
    finished = train()
    assert (finished.returncode, finished.stderr.count("bhasa:")) == (0, 0), finished.stderr
    events = json.loads(finished.stdout)
    run = store.only("pretrain")
    assert run.info.status == "FINISHED"
    for name in ("loss", "learning_rate", "grad_norm", "validation_loss"):
        assert store.history(run, name) == [(e["step"], e[name]) for e in events if name in e]
    assert [step for step, _ in store.history(run, "tokens_per_second")] == list(range(1, 25))


@pytest.mark.slow
def test_a_killed_run_that_nobody_goes_on_with_is_whole_and_marked_as_killed(params: Path, store) -> None:
    assert train(12).returncode == -signal.SIGKILL
    other = params.with_name("other.yaml")
    other.write_text(params.read_text() + "\n# other\n")
    with tracked("ingest", other):
        pass
    run = store.only("pretrain")
    assert run.info.status == "KILLED"
    assert [step for step, _ in store.history(run, "loss")] == list(range(1, 13))
    assert {parent.info.status for parent in store.runs("pipeline")} == {"KILLED", "FINISHED"}


def test_a_server_that_never_answers_costs_the_run_nothing_and_the_next_start_sends_it_all(
    params: Path,
    store,
    journal: Journal,
    hung_server: None,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    started = time.monotonic()
    run_steps(params, journal, 0, 50)
    assert time.monotonic() - started < 9  # one answer is waited for 10 seconds
    (line,) = capfd.readouterr().err.splitlines()
    assert line.startswith("bhasa: MLflow has not all of this run: ")
    assert line.endswith("the next start sends what is missing")

    monkeypatch.delenv("MLFLOW_TRACKING_URI")
    journal.path.unlink()  # as the run's folder is removed when it has succeeded
    for thread in threading.enumerate():
        if isinstance(thread, sender.Sender):
            thread.record.release()  # as at the end of its process
    with tracked("finetune", params):
        pass
    assert capfd.readouterr().err == ""
    run = store.only("pretrain")
    assert run.info.status == "FINISHED"
    assert store.history(run, "loss") == whole(50)


@pytest.mark.slow
def test_a_locked_database_is_waited_for_beside_the_run(
    params: Path, store, journal: Journal, root: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    import sqlite3

    with tracked("ingest", params):
        pass  # the store is there
    connection = sqlite3.connect(root / "mlflow.db", check_same_thread=False, isolation_level=None)
    connection.execute("begin exclusive")
    threading.Timer(8, lambda: connection.execute("rollback")).start()
    run_steps(params, journal, 0, 20)
    assert capfd.readouterr().err == ""
    assert store.history(store.only("pretrain"), "loss") == whole(20)


def test_calls_that_fail_for_a_while_are_repeated_without_a_word(
    params: Path, store, journal: Journal, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    from mlflow import MlflowClient
    from mlflow.exceptions import MlflowException

    log_batch, failures = MlflowClient.log_batch, iter(range(3))

    def fails(*args, **kwargs):
        if next(failures, None) is not None:
            raise MlflowException("the server is restarting")
        return log_batch(*args, **kwargs)

    monkeypatch.setattr(MlflowClient, "log_batch", fails)
    monkeypatch.setattr(sender, "FIRST_PAUSE", 0.01)
    monkeypatch.setattr(sender, "LAST_TRIES", 9)
    run_steps(params, journal, 0, 20)
    assert capfd.readouterr().err == ""
    assert store.history(store.only("pretrain"), "loss") == whole(20)


def test_what_the_store_refuses_is_one_line_and_the_rest_arrives(
    params: Path, store, journal: Journal, capfd: pytest.CaptureFixture[str]
) -> None:
    with tracked("pretrain", params) as tracker:
        tracker.log_metrics({"a name with a : and a ?": 1.0}, 3)
        tracker.log_metrics({"fine": 1.0}, 3)
    (line,) = capfd.readouterr().err.splitlines()
    assert line.startswith("bhasa: MLflow refused a part of this run: ")
    assert store.history(store.only("pretrain"), "fine") == [(3, 1.0)]


def test_a_step_is_sent_once_however_often_a_run_is_opened(params: Path, store, journal: Journal) -> None:
    with pytest.raises(KeyboardInterrupt):
        run_steps(params, journal, 0, 10, end=KeyboardInterrupt())
    journal.truncate(sum(map(len, journal.path.read_bytes().splitlines(keepends=True)[:6])))  # a checkpoint's
    run_steps(params, journal, 6, 15)
    assert store.history(store.only("pretrain"), "loss") == whole(15)


def test_a_final_figure_adds_no_second_value_to_its_curve(params: Path, store, journal: Journal) -> None:
    with tracked("pretrain", params) as tracker:
        with tracker.follow(journal.path):
            journal.append({"step": 0, "validation_loss": 3.0})
            journal.append({"step": 5, "validation_loss": 2.0})
        tracker.log_metrics({"validation_loss": 2.0, "parameters": 7})
    run = store.only("pretrain")
    assert store.history(run, "validation_loss") == [(0, 3.0), (5, 2.0)]
    assert store.history(run, "parameters") == [(0, 7.0)]


def test_a_final_figure_adds_no_second_value_to_a_curve_told_step_by_step(params: Path, store) -> None:
    with tracked("pretrain", params) as tracker:
        tracker.log_metrics({"loss": 3.0}, 5)
        tracker.log_metrics({"loss": 3.0})
    assert store.history(store.only("pretrain"), "loss") == [(5, 3.0)]


def test_a_record_that_is_refused_is_kept_for_a_while_and_then_removed_with_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def refuse(store, record):
        raise ValueError("no such call")

    monkeypatch.setattr(sender, "_send_whole", refuse)
    record = Record.begin(tmp_path, {"stage": "ingest"})
    record.release()
    sender.send_left(None, tmp_path)
    assert record.folder.exists()
    assert capfd.readouterr().err == ""
    os.utime(record.folder, (0, 0))
    sender.send_left(None, tmp_path)
    assert list(tmp_path.iterdir()) == []
    (line,) = capfd.readouterr().err.splitlines()
    assert "MLflow never took what is left of a run: no such call; " in line


def test_a_line_that_is_still_being_written_is_read_when_it_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    lines = Lines(path)
    assert lines.new() == []
    with path.open("w") as stream:
        for text, found in (('{"step": 1}\n{"st', [{"step": 1}]), ('ep": 2}\n', [{"step": 2}])):
            stream.write(text)
            stream.flush()
            assert lines.new() == found
