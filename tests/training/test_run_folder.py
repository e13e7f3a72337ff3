import os
import time

import pytest

from bhasa.errors import BhasaError
from bhasa.training.run_folder import RunFolder, differences, fingerprint, locked


def test_a_run_folder_is_one_process_s_and_goes_when_the_block_succeeds(tmp_path):
    with locked(tmp_path / "runs" / "abc") as folder:
        again = locked(tmp_path / "runs" / "abc")
        with pytest.raises(BhasaError, match="another process is training this very run"), again:
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


def test_the_fingerprint_knows_every_fact_and_no_order():
    facts = {"seed": 1, "config": {"a": 1, "b": 2.0}}
    assert fingerprint(facts) == fingerprint({"config": {"b": 2.0, "a": 1}, "seed": 1})
    others = [{"seed": 2}, {"config": {"a": 1, "b": 2.5}}, {"threads": 1}]
    assert len({fingerprint(facts | change) for change in [{}, *others]}) == 4


def test_differences_name_the_key_and_both_values():
    before = {"machine": {"threads": 2, "torch": "2.13"}, "processes": 1, "gone": True}
    now = {"machine": {"threads": 1, "torch": "2.13"}, "processes": 1, "new": 3}
    expected = ["gone was True and is None", "machine.threads was 2 and is 1", "new was None and is 3"]
    assert differences(before, now) == expected
    assert differences(now, now) == []


def test_a_damaged_checkpoint_is_said_once_and_removed(tmp_path, make_stepper, capsys):
    folder = RunFolder("pretrain", tmp_path / "state", {})
    for step in (2, 4):
        folder.record(step, loss=1.0)
        folder.save(make_stepper(), step)
    (folder.path / "step-00000004" / "optimizer.safetensors").write_bytes(b"")
    folder.record(5, loss=1.0)
    folder.resume(folder.newest(), make_stepper())
    (line,) = capsys.readouterr().err.splitlines()
    damage = "optimizer.safetensors is not as SHA256SUMS says"
    assert line == (
        f"pretrain: checkpoint step-00000004 is damaged ({damage}), so training goes on from step 2"
    )
    assert [path.name for path in folder.path.glob("step-*")] == ["step-00000002"]
    assert folder.journal.read() == [{"step": 2, "loss": 1.0}]
    assert folder.newest().step == 2
    assert capsys.readouterr().err == "pretrain: training goes on from step 2\n"


def test_a_process_that_does_not_write_leaves_the_folder_as_it_is(tmp_path, make_stepper, capsys):
    RunFolder("run", tmp_path / "state", {}).save(make_stepper(), 2)
    (tmp_path / "state" / "step-00000004").mkdir()
    before = sorted(tmp_path.rglob("*"))
    second = RunFolder("run", tmp_path / "state", {}, writes=False)
    second.record(3, loss=1.0)
    second.save(make_stepper(), 3)
    second.resume(second.newest(), make_stepper())
    assert sorted(tmp_path.rglob("*")) == before
    assert capsys.readouterr().err == ""
