import json
import os
import shutil
import time
from types import SimpleNamespace

import pytest
import torch
from safetensors.torch import load_file

from bhasa.errors import BhasaError, UserError
from bhasa.training import checkpoint


def advance(stepper, batches, first, last):
    for step in range(first, last):
        stepper.train_step(batches, step, sequences=4, rate=1e-2)


def save(folder, step, stepper):
    checkpoint.save(folder, step, stepper.model, stepper.optimizer, stepper.scaler)


def restore(folder, stepper):
    return checkpoint.restore(folder, stepper.model, stepper.optimizer, stepper.scaler)


@pytest.fixture
def saved(tmp_path, make_stepper, batches):
    """A folder with the checkpoints of steps 2 and 4."""
    stepper = make_stepper()
    for step in (2, 4):
        advance(stepper, batches, step - 2, step)
        save(tmp_path, step, stepper)
    return tmp_path


@pytest.mark.parametrize("optimizer", ["adamw", "muon"])
@pytest.mark.parametrize("precision", ["fp32", "fp16"])
def test_what_is_restored_is_what_was_saved_and_goes_on_alike(
    tmp_path, make_stepper, batches, snapshot, precision, optimizer
):
    straight, resumed = (make_stepper(precision=precision, optimizer=optimizer) for _ in range(2))
    if precision == "fp16":  # so that the scale has moved from its initial value when it is saved
        straight.scaler = torch.amp.GradScaler("cpu", init_scale=2.0**20, growth_interval=2)
    advance(straight, batches, 0, 3)
    save(tmp_path, 3, straight)
    assert restore(tmp_path, resumed) == 3
    for _ in range(2):
        expected, found = snapshot(straight), snapshot(resumed)
        assert expected.keys() == found.keys()
        assert all(torch.equal(expected[name], found[name]) for name in expected)
        advance(straight, batches, 3, 6)
        advance(resumed, batches, 3, 6)


def test_the_restored_optimizer_trains_the_model_it_stands_beside(saved, make_stepper):
    stepper = make_stepper()
    restore(saved, stepper)
    trained = {id(p) for p in stepper.optimizer.parameters}
    assert trained == {id(p) for p in stepper.model.parameters()}


def test_nothing_there_is_step_zero(tmp_path, make_stepper):
    assert restore(tmp_path, make_stepper()) == 0


def test_only_the_newest_are_kept(saved, make_stepper, batches):
    stepper = make_stepper()
    assert restore(saved, stepper) == 4
    advance(stepper, batches, 4, 6)
    save(saved, 6, stepper)
    assert sorted(path.name for path in saved.iterdir()) == ["step-00000004", "step-00000006"]


def truncate(path):
    path.write_bytes(path.read_bytes()[:-3])


def flip(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def set_manifest(**changes):
    def change(path):
        manifest = json.loads((path.parent / "manifest.json").read_text())
        (path.parent / "manifest.json").write_text(json.dumps(manifest | changes))

    return change


DAMAGES = {
    "removed": lambda path: path.unlink(),
    "empty": lambda path: path.write_bytes(b""),
    "truncated": truncate,
    "flipped": flip,
    "text": lambda path: path.write_text("[1, 2]"),
    "another-step": set_manifest(step=7),
    "no-hashes": set_manifest(sha256={}),
    "hashes-are-a-list": set_manifest(sha256=[]),
}


@pytest.mark.parametrize("file", ["model.safetensors", "optimizer.safetensors", "manifest.json"])
@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_newest_falls_back_to_the_one_before(saved, make_stepper, batches, snapshot, damage, file):
    expected = make_stepper()
    advance(expected, batches, 0, 2)
    DAMAGES[damage](saved / "step-00000004" / file)
    stepper = make_stepper()
    assert restore(saved, stepper) == 2
    found, wanted = snapshot(stepper), snapshot(expected)
    assert all(torch.equal(found[name], wanted[name]) for name in wanted)


def test_if_all_are_damaged_the_run_says_so_and_changes_nothing(saved, make_stepper, snapshot):
    for path in saved.glob("step-*/model.safetensors"):
        truncate(path)
    stepper, fresh = make_stepper(), snapshot(make_stepper())
    with pytest.raises(UserError, match="no checkpoint in it is whole; delete this folder"):
        restore(saved, stepper)
    assert all(torch.equal(value, fresh[name]) for name, value in snapshot(stepper).items())


def test_a_half_written_draft_is_no_checkpoint(saved, make_stepper):
    shutil.move(saved / "step-00000004", saved / ".step-00000004.123.draft")
    assert restore(saved, make_stepper()) == 2


@pytest.fixture
def free(monkeypatch):
    """Set how many bytes the disk has left."""
    usage = SimpleNamespace()
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage)
    return lambda size: setattr(usage, "free", size)


def test_one_checkpoint_more_than_is_kept_must_fit(tmp_path, make_stepper, free):
    model = make_stepper().model
    needed = (checkpoint.KEEP + 1) * 12 * model.num_parameters()
    free(needed)
    checkpoint.require_space(tmp_path, model)
    free(needed - 1)
    with pytest.raises(UserError, match=r"keeping 3 checkpoints needs .* GB free; make room"):
        checkpoint.require_space(tmp_path, model)


def test_only_what_is_trained_needs_room(tmp_path, make_stepper, free):
    model = make_stepper().model
    model.requires_grad_(False).backbone.norm_f.requires_grad_(True)
    free((checkpoint.KEEP + 1) * 12 * 16)
    checkpoint.require_space(tmp_path, model)


def test_a_resumed_run_needs_only_what_is_not_there_yet(saved, make_stepper, free):
    model = make_stepper().model
    there = sum(path.stat().st_size for path in saved.glob("step-*/*"))
    free((checkpoint.KEEP + 1) * 12 * model.num_parameters() - there)
    checkpoint.require_space(saved, model)


def test_a_checkpoint_is_as_large_as_is_said(saved, make_stepper):
    tensors = saved / "step-00000004" / "model.safetensors", saved / "step-00000004/optimizer.safetensors"
    values = sum(t.numel() for path in tensors for t in load_file(path).values() if t.ndim)
    assert 4 * values == checkpoint.BYTES_PER_PARAMETER * make_stepper().model.num_parameters()


def test_a_run_folder_is_one_process_s_and_goes_when_the_block_succeeds(workspace):
    with checkpoint.run_folder("pretrain", "abc") as folder:
        assert folder == workspace / ".bhasa" / "ckpt" / "pretrain" / "abc"
        again = checkpoint.run_folder("pretrain", "abc")
        with pytest.raises(BhasaError, match="another process is training this very run"), again:
            pass
        with checkpoint.run_folder("pretrain", "other"):
            pass
        assert folder.is_dir()
    assert list(folder.parent.iterdir()) == []


def test_a_run_folder_stays_when_the_block_fails_and_is_free_again(workspace):
    with pytest.raises(IsADirectoryError), checkpoint.run_folder("pretrain", "abc") as folder:
        (folder / "kept").mkdir() or (folder / "kept").write_text("a folder is no file")
    with checkpoint.run_folder("pretrain", "abc") as folder:
        assert (folder / "kept").exists()


def abandon(runs, name, days, *, with_folder=True):
    """Leave an unfinished run that was touched so many days ago."""
    runs.mkdir(parents=True, exist_ok=True)
    then = time.time() - days * 24 * 3600
    (runs / f"{name}.lock").touch()
    os.utime(runs / f"{name}.lock", (then, then))
    if with_folder:
        (runs / name / "step-00000002").mkdir(parents=True)
        os.utime(runs / name, (then, then))


def test_abandoned_runs_go_when_another_of_their_stage_starts(workspace, capsys):
    ckpt = workspace / ".bhasa" / "ckpt"
    abandon(ckpt / "pretrain", "old", 31)
    abandon(ckpt / "pretrain", "lock-alone", 31, with_folder=False)
    abandon(ckpt / "pretrain", "young", 29)
    abandon(ckpt / "finetune", "other", 31)
    with checkpoint.run_folder("pretrain", "mine"):
        pass
    assert {path.name for path in (ckpt / "pretrain").iterdir()} == {"young", "young.lock"}
    assert (ckpt / "finetune" / "other").is_dir()
    (line,) = capsys.readouterr().err.splitlines()
    assert "not touched for 30 days: lock-alone, old" in line


def test_an_old_run_that_somebody_trains_or_goes_on_with_stays(workspace, capsys):
    runs = workspace / ".bhasa" / "ckpt" / "pretrain"
    abandon(runs, "resumed", 31)
    with checkpoint.run_folder("pretrain", "resumed") as folder:
        os.utime(folder, (0, 0))
        with checkpoint.run_folder("pretrain", "other"):
            pass
        assert (folder / "step-00000002").is_dir()
    assert capsys.readouterr().err == ""


def test_the_fingerprint_knows_every_fact_and_no_order():
    facts = {"seed": 1, "config": {"a": 1, "b": 2.0}}
    assert checkpoint.fingerprint(facts) == checkpoint.fingerprint({"config": {"b": 2.0, "a": 1}, "seed": 1})
    others = [{"seed": 2}, {"config": {"a": 1, "b": 2.5}}, {"threads": 1}]
    assert len({checkpoint.fingerprint(facts | change) for change in [{}, *others]}) == 4
