import os
import time

import pytest

from bhasa.errors import BhasaError
from bhasa.unfinished import locked


def test_a_run_folder_is_one_process_s_and_goes_when_the_block_succeeds(tmp_path):
    with locked(tmp_path / "runs" / "abc") as folder:
        again = locked(tmp_path / "runs" / "abc")
        with pytest.raises(BhasaError, match="another process is doing this very work"), again:
            pass
        with locked(tmp_path / "runs" / "other"):
            pass
        assert folder.is_dir()
    assert list(folder.parent.iterdir()) == []


def test_a_run_folder_stays_when_the_block_fails_and_is_free_again(tmp_path):
    with pytest.raises(IsADirectoryError), locked(tmp_path / "abc") as folder:
        (folder / "kept").mkdir() or (folder / "kept").write_text("a folder is no file")
    with locked(tmp_path / "abc") as folder:
        assert (folder / "kept").exists()


def abandon(runs, name, days, *, with_folder=True, saved=0.0):
    """Leave an unfinished run that was begun so many days ago; its last checkpoint is of `saved` days ago."""
    runs.mkdir(parents=True, exist_ok=True)
    then = time.time() - days * 24 * 3600
    (runs / f"{name}.lock").touch()
    if with_folder:
        (runs / name / "state" / "step-00000002").mkdir(parents=True)
        last = time.time() - (saved or days) * 24 * 3600
        os.utime(runs / name / "state", (last, last))
        os.utime(runs / name, (then, then))
    os.utime(runs / f"{name}.lock", (then, then))


def test_abandoned_runs_go_when_another_of_their_stage_starts(tmp_path, capsys):
    abandon(tmp_path / "pretrain", "old", 31)
    abandon(tmp_path / "pretrain", "lock-alone", 31, with_folder=False)
    abandon(tmp_path / "pretrain", "young", 29)
    abandon(tmp_path / "pretrain", "long", 31, saved=2)
    abandon(tmp_path / "finetune", "other", 31)
    with locked(tmp_path / "pretrain" / "mine"):
        pass
    names = {path.name for path in (tmp_path / "pretrain").iterdir()}
    assert names == {"young", "young.lock", "long", "long.lock"}
    assert (tmp_path / "finetune" / "other").is_dir()
    (line,) = capsys.readouterr().err.splitlines()
    assert "not touched for 30 days: lock-alone, old" in line


def test_an_old_run_that_somebody_trains_or_goes_on_with_stays(tmp_path, capsys):
    abandon(tmp_path, "resumed", 31)
    with locked(tmp_path / "resumed") as folder:
        os.utime(folder, (0, 0))
        with locked(tmp_path / "other"):
            pass
        assert (folder / "state" / "step-00000002").is_dir()
    assert capsys.readouterr().err == ""
