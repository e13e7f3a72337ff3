"""The causal convolution and its SiLU, forward and backward, beside `nn.Conv1d`."""

from collections.abc import Iterator
from functools import partial

from benchmarks import options, peers
from bhasa.measure import limits
from bhasa.measure.table import Row
from bhasa.measure.workloads import conv, conv_inputs, forward_backward
from bhasa.ops.causal_conv import BACKENDS

TITLE = "Causal convolution of 4 taps and SiLU, forward + backward"
SHAPES, QUICK = ((1, 2048, 1536), (4, 1024, 512)), ((1, 32, 16),)


def measure(given: options.Options) -> tuple[dict[str, float], list[Row]]:
    shapes = QUICK if given.quick else SHAPES
    rates = {f"copy of {shape}": limits.copy_rate(conv_inputs(*shape).x.nbytes) for shape in shapes}
    return rates, [row for shape in shapes for row in _case(given, shape, rates[f"copy of {shape}"])]


def _case(given: options.Options, shape: tuple[int, int, int], copy: float) -> Iterator[Row]:
    inputs = conv_inputs(*shape)
    programs = {f"bhasa: {name}": partial(conv, backend=name) for name in BACKENDS.available()}
    programs |= {"nn.Conv1d": peers.nn_conv}
    exact = forward_backward(peers.nn_conv, inputs.double())()
    jobs = {name: forward_backward(program, inputs) for name, program in programs.items()}
    errors = {name: peers.deviation(job(), exact) for name, job in jobs.items()}
    timings = given.timed(jobs)
    for name, timing in timings.items():
        yield Row(
            str(shape),
            name,
            timing,
            limits.conv_seconds(inputs.x.nbytes, copy),
            figure=1e9 * timing.median / inputs.x.numel(),
            unit="ns/element",
            error=errors[name],
        )


if __name__ == "__main__":
    options.main("conv", TITLE, measure)
