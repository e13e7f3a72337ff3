import time

import pytest
import torch

from bhasa.training.probe import measure


@pytest.mark.parametrize("optimizer", ["adamw", "muon"])
@pytest.mark.parametrize("precision", ["fp32", "fp16"])
def test_the_probe_leaves_no_trace(make_stepper, make_plan, batches, snapshot, optimizer, precision):
    stepper, untouched = (make_stepper(optimizer=optimizer, precision=precision) for _ in range(2))
    before = snapshot(stepper)
    measure(stepper, make_plan(5))
    after = snapshot(stepper)
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert all(p.grad is None for p in stepper.model.parameters())
    results = [s.train_step(batches, 0, sequences=4, rate=1e-2) for s in (stepper, untouched)]
    assert results[0] == results[1]
    assert all(map(torch.equal, stepper.model.parameters(), untouched.model.parameters()))


def delayed(function, seconds):
    """`function`, which takes so much longer."""

    def slow(*arguments):
        time.sleep(seconds)
        return function(*arguments)

    return slow


def test_updates_and_validations_are_counted(make_stepper, make_plan):
    """By pauses that come on top of the work: 4 sequences a step and 5 a validation, 2 at a time."""
    stepper = make_stepper(micro_batch=2)
    stepper.loss_sum = delayed(stepper.loss_sum, 0.1)
    stepper.optimizer.step = delayed(stepper.optimizer.step, 0.5)
    found = measure(stepper, make_plan(5))
    assert found.step >= 2 * 0.1 + 0.5
    assert found.validation >= 2.5 * 0.1
