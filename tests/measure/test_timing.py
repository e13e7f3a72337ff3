import time

from bhasa.measure.timing import Timing, interleaved


def test_rounds_take_turns_after_a_warm_up():
    calls = []
    jobs = {"a": lambda: calls.append("a"), "b": lambda: calls.append("b")}
    timings = interleaved(jobs, rounds=3, shortest=0)
    assert "".join(calls) == "aabb" + "ab" * 3
    assert {name: timing.rounds for name, timing in timings.items()} == {"a": 3, "b": 3}


def test_a_job_that_used_its_budget_drops_out():
    timings = interleaved({"slow": lambda: time.sleep(0.02), "fast": int}, rounds=5, budget=0.05, shortest=0)
    assert timings["slow"].rounds < timings["fast"].rounds == 5


def test_a_job_too_slow_to_repeat_is_measured_by_its_warm_up():
    calls = []
    timings = interleaved({"": lambda: calls.append(1) or time.sleep(0.02)}, budget=0.03, shortest=0)
    assert timings[""].rounds == 1
    assert timings[""].median >= 0.02
    assert len(calls) <= 2


def test_quartiles_are_of_the_rounds():
    timing = Timing.of([1.0, 2.0, 3.0, 4.0, 100.0])
    assert (timing.q1, timing.median, timing.q3, timing.best) == (2.0, 3.0, 4.0, 1.0)
