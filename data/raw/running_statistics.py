"""Statistics of a stream of numbers in constant memory, each a tiny state-space model by hand."""

import math


class RunningMean:
    """The mean of all numbers seen so far, without keeping any of them."""

    def __init__(self) -> None:
        self.count = 0
        self.mean = 0.0

    def update(self, value: float) -> float:
        """Take one more number into account and return the new mean."""
        self.count += 1
        self.mean += (value - self.mean) / self.count
        return self.mean


def decay_for_half_life(steps: float) -> float:
    """Return the factor per step after which half of a value is left when `steps` steps have passed."""
    return math.exp(-math.log(2.0) / steps)


def exponential_average(values: list[float], *, half_life: float) -> list[float]:
    """Return, for every position, the average of the values so far, with older ones counting less.

    A value that is `half_life` steps old counts half as much as the newest one.
    """
    decay = decay_for_half_life(half_life)
    state, weight, averages = 0.0, 0.0, []
    for value in values:
        state = decay * state + (1.0 - decay) * value
        weight = decay * weight + (1.0 - decay)
        averages.append(state / weight)
    return averages
