from hypothesis import given
from hypothesis import strategies as st

from bhasa.measure.workloads import SameBatch
from bhasa.training.config import TrainingConfig
from bhasa.training.plan import Plan


@given(st.integers(1, 40), st.integers(1, 12), st.data())
def test_the_validations_left_are_those_that_come(steps, every, data):
    done = data.draw(st.integers(0, steps - 1))
    config = TrainingConfig(context_length=8, tokens_per_step=8, learning_rate=1e-3, validate_every=every)
    batches = SameBatch(1, 8, 8)
    plan = Plan("run", config, steps=steps, seed=0, train=batches, validation=batches)
    coming = range(1 if done else 0, steps + 1)
    assert plan.validations_left(done) == sum(plan.validates(n) for n in coming if n > done or n == 0)
