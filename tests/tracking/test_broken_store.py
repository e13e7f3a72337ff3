import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from bhasa.errors import UserError
from bhasa.stages import tracked
from bhasa.tracking import NullTracker, Tracker


def _database_is_rubbish(root: Path) -> None:
    (root / "mlflow.db").write_bytes(b"this is no database, and long enough to say so" * 100)


def _database_is_a_folder(root: Path) -> None:
    (root / "mlflow.db").mkdir()


def _lock_is_in_the_way(root: Path) -> None:
    (root / ".bhasa").write_text("a file")


def _database_is_of_another_release(root: Path) -> None:
    with closing(sqlite3.connect(root / "mlflow.db")) as database, database:
        database.execute("create table alembic_version (version_num varchar(32) not null)")
        database.execute("insert into alembic_version values ('ffffffffffff')")


BROKEN = [_database_is_rubbish, _database_is_a_folder, _lock_is_in_the_way, _database_is_of_another_release]


def use(tracker: Tracker, params: Path) -> None:
    tracker.log_params({"a": 1})
    tracker.log_metrics({"loss": 1.0}, 1)
    tracker.log_file(params)
    (params.parent / "folder").mkdir(exist_ok=True)
    tracker.log_folder(params.parent / "folder")
    tracker.log_input("params", params, "training")
    tracker.register_model("bhasa", params, params, params={}, packages=[], figures={})


@pytest.mark.parametrize("damage", BROKEN, ids=lambda damage: damage.__name__.strip("_"))
def test_a_broken_store_is_one_line_and_the_run_goes_on(
    workspace: Path, capfd: pytest.CaptureFixture[str], damage: Callable[[Path], None]
) -> None:
    damage(workspace)
    with tracked("pretrain", workspace / "params.yaml") as tracker:
        use(tracker, workspace / "params.yaml")
    captured = capfd.readouterr()
    assert captured.out == ""
    assert len(captured.err.splitlines()) == 1
    assert captured.err.startswith(
        ("bhasa: MLflow has not all of this run: ", "bhasa: this run is not tracked: ")
    )


def test_an_absent_server_is_one_line_and_no_long_wait(
    workspace: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    with tracked("pretrain", workspace / "params.yaml") as tracker:
        use(tracker, workspace / "params.yaml")
    assert len(capfd.readouterr().err.splitlines()) == 1


def test_an_error_of_the_stage_is_not_hidden_by_a_broken_store(workspace: Path) -> None:
    _database_is_rubbish(workspace)
    with pytest.raises(UserError, match="no data"), tracked("ingest", workspace / "params.yaml"):
        raise UserError("no data")


def test_a_file_that_cannot_be_kept_is_one_line(workspace: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with tracked("pretrain", workspace / "params.yaml") as tracker:
        tracker.log_file(workspace / "nothing")
        tracker.log_file(workspace / "nothing")
    (line,) = capfd.readouterr().err.splitlines()
    assert line.startswith("bhasa: not all of this run is tracked: ")
    assert "nothing" in line


def test_the_null_tracker_takes_everything(workspace: Path) -> None:
    use(NullTracker(), workspace / "params.yaml")
    assert sorted(p.name for p in workspace.iterdir()) == ["folder", "params.yaml"]
