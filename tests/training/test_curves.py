from bhasa.training.curves import write_curves

EVENTS = [
    {"step": 0, "validation_loss": 5.0},
    {"step": 1, "loss": 4.5, "learning_rate": 0.1, "grad_norm": 2.0, "tokens_per_second": 123.4},
    {"step": 2, "loss": 4.25, "learning_rate": 0.05, "grad_norm": 1.5, "tokens_per_second": 99.9},
    {"step": 2, "validation_loss": 4.375},
]


def test_what_was_recorded_is_what_is_written_without_the_speed(tmp_path):
    write_curves(EVENTS, tmp_path / "curves")
    assert (tmp_path / "curves" / "train.csv").read_bytes() == (
        b"step,loss,learning_rate,grad_norm\n1,4.5,0.1,2.0\n2,4.25,0.05,1.5\n"
    )
    assert (tmp_path / "curves" / "validation.csv").read_bytes() == b"step,validation_loss\n0,5.0\n2,4.375\n"


def test_the_files_repeat_to_the_byte_at_any_speed(tmp_path):
    faster = [event | {"tokens_per_second": 1e6} if "loss" in event else event for event in EVENTS]
    for name, events in (("a", EVENTS), ("b", faster)):
        write_curves(events, tmp_path / name)
    for name in ("train.csv", "validation.csv", "loss.png"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()
    assert (tmp_path / "a" / "loss.png").read_bytes().startswith(b"\x89PNG")
