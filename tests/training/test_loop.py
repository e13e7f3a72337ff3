import json
import os
import signal

import pytest
import torch

from bhasa.errors import Stopped
from bhasa.training.fit import summary
from bhasa.training.loop import train
from bhasa.training.run_folder import RunFolder


@pytest.fixture
def start(tmp_path, make_stepper, make_plan):
    """Train in the test's folder; returns the events, what was observed, and the stepper."""

    def run(steps=7, observe=lambda values, step: None, **options):
        observed = []

        class Observed(RunFolder):
            def record(self, step, **values):
                super().record(step, **values)
                observed.append((step, *values))
                observe(values, step)

        stepper = make_stepper(**options)
        events = train(stepper, make_plan(steps), Observed("test", tmp_path / "run", {}))
        return events, observed, stepper

    return run


def test_when_it_validates_saves_and_reports(start, tmp_path):
    events, observed, _ = start()
    training = [event["step"] for event in events if "loss" in event]
    assert training == [1, 2, 3, 4, 5, 6, 7]
    assert [event["step"] for event in events if "validation_loss" in event] == [0, 3, 6, 7]
    assert [(event["step"], *(key for key in event if key != "step")) for event in events] == observed
    assert sorted(path.name for path in (tmp_path / "run").glob("step-*")) == [
        "step-00000006",
        "step-00000007",
    ]
    assert all(event["tokens_per_second"] > 0 for event in events if "loss" in event)


def test_it_learns(start):
    events, _, _ = start(steps=40)
    figures = summary(events)
    assert figures["steps"] == 40
    assert figures["validation_loss"] < figures["initial_validation_loss"] - 0.5
    last = [event["loss"] for event in events if "loss" in event][-10:]
    assert figures["train_loss"] == pytest.approx(sum(last) / 10)


def test_the_rate_of_the_journal_is_the_schedule_s_whatever_the_micro_batch(start, tmp_path):
    one = [event.get("learning_rate") for event in start(micro_batch=1)[0]]
    (tmp_path / "run").rename(tmp_path / "first")
    assert one == [event.get("learning_rate") for event in start(micro_batch=4)[0]]


@pytest.mark.usefixtures("signals_of_a_terminal")
@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_saves_at_the_end_of_the_step_and_the_handlers_are_put_back(start, tmp_path, signum):
    def interrupt(values, step):
        if step == 5 and "loss" in values:
            os.kill(os.getpid(), signum)

    before = [signal.getsignal(s) for s in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)]
    with pytest.raises(Stopped, match="step 5 of 7 is saved") as stopped:
        start(observe=interrupt)
    assert stopped.value.exit_code == 128 + signum
    assert (tmp_path / "run" / "step-00000005").is_dir()
    assert before == [signal.getsignal(s) for s in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)]


def test_a_signal_in_the_last_step_stops_before_anything_else_is_begun(start):
    def interrupt(values, step):
        if step == 7 and "loss" in values:
            os.kill(os.getpid(), signal.SIGTERM)

    with pytest.raises(Stopped, match="step 7 of 7 is saved"):
        start(observe=interrupt)
    events, observed, _ = start()
    assert observed == []
    assert events[-1]["step"] == 7


def test_a_resumed_run_forgets_what_came_after_its_checkpoint(start, tmp_path):
    whole, _, straight = start()
    (tmp_path / "run").rename(tmp_path / "first")

    def die(values, step):
        if step == 6:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        start(observe=die)
    journal = tmp_path / "run" / "journal.jsonl"
    assert max(json.loads(line)["step"] for line in journal.read_text().splitlines()) == 6
    with journal.open("a") as stream:
        stream.write('{"step": 7, "lo')  # torn: the machine went down
    events, observed, resumed = start()
    assert min(step for step, *_ in observed) == 5  # the newest checkpoint is of step 4
    timeless = [
        [{k: v for k, v in e.items() if k != "tokens_per_second"} for e in run] for run in (whole, events)
    ]
    assert timeless[0] == timeless[1]
    assert all(map(torch.equal, resumed.model.parameters(), straight.model.parameters()))


def test_a_finished_run_started_again_has_nothing_to_do(start):
    events, _, _ = start()
    again, observed, _ = start()
    assert again == events
    assert observed == []
