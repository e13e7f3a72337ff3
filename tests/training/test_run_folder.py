from bhasa.training.run_folder import RunFolder, differences, fingerprint


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
