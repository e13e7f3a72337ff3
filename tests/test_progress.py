import pytest

from bhasa import progress as module
from bhasa.progress import progress


def test_a_log_gets_plain_lines_with_rate_and_time(capsys: pytest.CaptureFixture[str]) -> None:
    with progress("pretrain", 10, "steps") as shown:
        for _ in range(10):
            shown.advance(1, "loss 2.5")
    captured = capsys.readouterr()
    assert captured.out == ""
    lines = captured.err.splitlines()
    assert len(lines) == 1
    assert lines[0].startswith("pretrain: 10/10 steps, ")
    assert "steps/s, took 0:0" in lines[0]
    assert lines[0].endswith(" | loss 2.5")


def test_the_rate_counts_only_what_this_run_did(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [0.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: now[0])
    with progress("pretrain", 1000, "steps", done=900) as shown:
        now[0] = 20.0
        shown.advance(40)
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "pretrain: 940/1,000 steps, 2 steps/s, 0:30 left"
    assert lines[1] == "pretrain: 940/1,000 steps, 2 steps/s, took 0:20"


def test_a_terminal_gets_a_bar(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    with progress("tokenize", 4, "files") as shown:
        shown.advance(4, "done")
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "4/4 files" in captured.err


def test_an_error_passes_through(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ZeroDivisionError), progress("export", 1, "targets"):
        _ = 1 / 0
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(("seconds", "shown"), [(0, "0:00"), (59.6, "1:00"), (61, "1:01"), (3661, "1:01:01")])
def test_clock(seconds: float, shown: str) -> None:
    assert module._clock(seconds) == shown
