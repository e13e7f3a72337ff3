import os
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from safetensors.torch import load_file

from bhasa.errors import UserError
from bhasa.journal import Journal
from bhasa.training import checkpoint
from bhasa.training.checkpoint import Snapshot


def advance(stepper, batches, first, last):
    for step in range(first, last):
        stepper.train_step(batches, step, sequences=4, rate=1e-2)


def record_of(folder):
    return Journal(folder / "journal.jsonl")


def save(folder, step, stepper):
    """As a run does that records each step."""
    record_of(folder).append({"step": step})
    checkpoint.write(Snapshot.of(stepper, step, record_of(folder), {"threads": 1}), folder)


def restore(folder, stepper):
    found = checkpoint.newest(folder, record_of(folder))
    if found:
        found.load(stepper)
    return found.step if found else 0


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
    assert sorted(path.name for path in saved.glob("step*")) == ["step-00000004", "step-00000006"]


def truncate(path):
    path.write_bytes(path.read_bytes()[:-3])


def flip(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


DAMAGES = {
    "removed": lambda path: path.unlink(),
    "empty": lambda path: path.write_bytes(b""),
    "truncated": truncate,
    "longer": lambda path: path.write_bytes(path.read_bytes() + b"\n"),
    "flipped": flip,
    "text": lambda path: path.write_text("[1, 2]"),
    "a-folder": lambda path: path.unlink() or path.mkdir(),
}
FILES = ["model.safetensors", "optimizer.safetensors", "manifest.json", "SHA256SUMS"]


@pytest.mark.parametrize("file", FILES)
@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_newest_falls_back_to_the_one_before(saved, make_stepper, batches, snapshot, damage, file):
    expected = make_stepper()
    advance(expected, batches, 0, 2)
    DAMAGES[damage](saved / "step-00000004" / file)
    stepper = make_stepper()
    assert restore(saved, stepper) == 2
    found, wanted = snapshot(stepper), snapshot(expected)
    assert all(torch.equal(found[name], wanted[name]) for name in wanted)
    ((name, reason),) = checkpoint.newest(saved, record_of(saved)).passed_over.items()
    assert (name, file in reason) == ("step-00000004", True)


@pytest.mark.parametrize("file", ["manifest.json", "SHA256SUMS"])
def test_any_flipped_byte_is_seen_in_a_key_as_in_a_value(saved, file):
    path = saved / "step-00000004" / file
    whole = path.read_bytes()
    for place in range(len(whole)):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 4]) + whole[place + 1 :])
        assert checkpoint.newest(saved, record_of(saved)).step == 2
    path.write_bytes(whole)
    assert checkpoint.newest(saved, record_of(saved)).step == 4


def test_a_checkpoint_of_another_step_or_of_no_name_is_not_used(saved):
    (saved / "step-00000004").rename(saved / "step-00000007")
    found = checkpoint.newest(saved, record_of(saved))
    assert (found.step, found.passed_over) == (2, {"step-00000007": "it is of step 4"})


FIRST_LINE = len('{"step": 2}\n')


@pytest.mark.parametrize(
    "change",
    [
        lambda content: content[:FIRST_LINE],
        lambda content: content[: FIRST_LINE + 5],
        lambda content: content[:FIRST_LINE] + b"{no JSON: at all}\n",
        lambda content: content[:-3] + b"9}\n",
    ],
    ids=["cut", "torn", "bad-line", "other-number"],
)
def test_a_checkpoint_whose_steps_the_journal_has_not_is_damaged(saved, change):
    path = record_of(saved).path
    path.write_bytes(change(path.read_bytes()))
    found = checkpoint.newest(saved, record_of(saved))
    assert found.step == 2
    assert "journal.jsonl lacks its steps" in found.passed_over["step-00000004"]


def test_what_the_journal_has_beyond_a_checkpoint_does_not_matter(saved):
    with record_of(saved).path.open("ab") as stream:
        stream.write(b'{"step": 5}\n\xff{bad}\n{"st')
    found = checkpoint.newest(saved, record_of(saved))
    assert (found.step, found.passed_over, found.journal_size) == (4, {}, 2 * FIRST_LINE)


def remove_journal(folder):
    record_of(folder).path.unlink()


def truncate_weights(folder):
    for path in folder.glob("step-*/model.safetensors"):
        truncate(path)


@pytest.mark.parametrize("damage", [remove_journal, truncate_weights])
def test_if_all_are_damaged_the_run_says_so_and_changes_nothing(saved, make_stepper, snapshot, damage):
    damage(saved)
    stepper, fresh = make_stepper(), snapshot(make_stepper())
    with pytest.raises(UserError, match=r"no checkpoint in it is whole \(step-00000004: .*; delete"):
        restore(saved, stepper)
    assert all(torch.equal(value, fresh[name]) for name, value in snapshot(stepper).items())


def test_the_sums_are_those_of_sha256sum(saved):
    folder = saved / "step-00000004"
    checked = subprocess.run(["sha256sum", "--check", "SHA256SUMS"], cwd=folder, capture_output=True)
    assert checked.returncode == 0, checked.stdout
    assert {path.name for path in folder.iterdir()} == {*FILES}


def test_a_snapshot_is_of_its_moment(tmp_path, make_stepper, batches, snapshot):
    stepper, resumed = make_stepper(), make_stepper()
    advance(stepper, batches, 0, 2)
    before, taken = snapshot(stepper), Snapshot.of(stepper, 2, record_of(tmp_path), {})
    advance(stepper, batches, 2, 3)
    checkpoint.write(taken, tmp_path)
    restore(tmp_path, resumed)
    assert all(torch.equal(value, before[name]) for name, value in snapshot(resumed).items())


@pytest.fixture
def on_disk(monkeypatch):
    """What reached the disk, in order: ("sync", path) and ("rename", path)."""
    seen = []
    fsync, replace, rename = os.fsync, Path.replace, Path.rename

    def synced(descriptor):
        seen.append(("sync", Path(f"/proc/self/fd/{descriptor}").readlink()))
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", synced)
    for name, function in (("replace", replace), ("rename", rename)):
        monkeypatch.setattr(
            Path, name, lambda path, to, f=function: (seen.append(("rename", Path(to))), f(path, to))[1]
        )
    return seen


@pytest.mark.skipif(sys.platform != "linux", reason="names of open files are read from /proc")
def test_the_journal_and_every_file_are_on_the_disk_before_a_checkpoint_appears(saved, make_stepper, on_disk):
    save(saved, 6, make_stepper())
    appeared = on_disk.index(("rename", saved / "step-00000006"))
    synced = [path for what, path in on_disk[:appeared] if what == "sync"]
    assert record_of(saved).path in synced
    assert {path.name for path in synced if path.parent.name.endswith(".draft")} >= {*FILES}
    assert any(path.name.startswith(".step-00000006") for path in synced)
    assert ("sync", saved) in on_disk[appeared:]


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
    with pytest.raises(UserError, match=r"keeping 3 checkpoints needs .* free; make room"):
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
