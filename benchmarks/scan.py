"""The selective scan, with its gate and its bias, beside mambapy's parallel scan and a loop in torch."""

from collections.abc import Callable, Iterator
from functools import partial

from torch import Tensor

from benchmarks import options, peers
from bhasa.measure import limits
from bhasa.measure.memory import peak_bytes
from bhasa.measure.table import Row
from bhasa.measure.timing import Job
from bhasa.measure.workloads import ScanCase, forward, forward_backward, scan, scan_inputs
from bhasa.ops.selective_scan import BACKENDS

TITLE = "Selective scan, (1, 2048, 1536), d_state 16"
SHAPE, QUICK = (1, 2048, 1536, 16), (1, 48, 16, 4)

Scan = Callable[[ScanCase], Tensor]


def programs() -> dict[str, Scan]:
    """By name; the registry of backends says what the program has."""
    ours = {f"bhasa: {name}": partial(scan, backend=name) for name in BACKENDS.available()}
    theirs = {"mambapy": peers.mambapy_scan} if peers.has_mambapy() else {}
    return {**ours, **theirs, "torch loop": peers.loop_scan}


def measure(given: options.Options) -> tuple[dict[str, float], list[Row]]:
    shape = QUICK if given.quick else SHAPE
    inputs = scan_inputs(*shape)
    rates = {"products of 1024 cubed": limits.product_rate(), "copy of x": limits.copy_rate(inputs.x.nbytes)}
    rows = [row for backward in (False, True) for row in _case(given, shape, inputs, rates, backward)]
    return rates, rows


def _case(
    given: options.Options,
    shape: tuple[int, ...],
    inputs: ScanCase,
    rates: dict[str, float],
    backward: bool,
) -> Iterator[Row]:
    case = "forward + backward" if backward else "forward"
    elements = inputs.x.numel() * shape[-1]
    least = limits.scan_seconds(
        elements,
        inputs.x.nbytes,
        products=limits.fastest_products(rates),
        copied=rates["copy of x"],
        backward=backward,
    )
    exact = _values(_job(peers.loop_scan, inputs.double(), backward))
    found = {name: _values(_job(program, inputs, backward)) for name, program in programs().items()}
    timings = given.timed({name: _job(program, inputs, backward) for name, program in programs().items()})
    for name, program in programs().items():
        yield Row(
            case,
            name,
            timings[name],
            least,
            figure=1e9 * timings[name].median / elements,
            unit="ns/element",
            error=peers.deviation(found[name], exact),
            peak_bytes=peak_bytes(partial(_prepared, program, shape, backward)),
        )
    if not peers.has_mambapy():
        yield Row(case, "mambapy", note=peers.MISSING)


def _job(program: Scan, inputs: ScanCase, backward: bool) -> Job:
    return forward_backward(program, inputs) if backward else forward(program, inputs)


def _prepared(program: Scan, shape: tuple[int, ...], backward: bool) -> Job:
    options.prepare()
    _job(program, scan_inputs(*QUICK), backward)()  # what torch loads once is not the scan's memory
    return _job(program, scan_inputs(*shape), backward)


def _values(job: Job) -> tuple[Tensor, ...]:
    values = job()
    return values if isinstance(values, tuple) else (values,)


if __name__ == "__main__":
    options.main("scan", TITLE, measure)
