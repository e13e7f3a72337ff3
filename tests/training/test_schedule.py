import itertools

import pytest

from bhasa.training.schedule import learning_rate


def rates(config, steps, **changes):
    changed = config.model_copy(update={"learning_rate": 1.0, "min_learning_rate_ratio": 0.1} | changes)
    return [learning_rate(step, steps=steps, config=changed) for step in range(steps)]


def test_it_rises_in_a_line_peaks_and_falls_to_the_floor(config):
    found = rates(config, 101, warmup_fraction=0.2)
    assert found[:20] == pytest.approx([(step + 1) / 20 for step in range(20)])
    assert found[20] == 1.0
    assert found[60] == pytest.approx(0.55)  # half of the cosine
    assert found[100] == pytest.approx(0.1)
    assert all(earlier > later for earlier, later in itertools.pairwise(found[20:]))


@pytest.mark.parametrize("steps", [1, 2, 3, 7])
@pytest.mark.parametrize("warmup", [0.0, 0.05, 0.5, 1.0])
def test_short_runs_have_rates_too(config, steps, warmup):
    assert all(0 < rate <= 1 for rate in rates(config, steps, warmup_fraction=warmup))


def test_without_warmup_the_first_step_has_the_peak(config):
    assert rates(config, 10, warmup_fraction=0.0)[0] == 1.0


def test_past_the_end_the_floor_holds(config):
    assert learning_rate(500, steps=10, config=config) == pytest.approx(0.1 * config.learning_rate)
