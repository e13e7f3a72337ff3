"""The program alone, measured against the machine's limits: what `bhasa bench` shows."""

from dataclasses import dataclass
from typing import Any

from bhasa.hardware import HardwareProfile
from bhasa.measure import limits, machine, workloads
from bhasa.measure.table import Row, result
from bhasa.measure.timing import Job, Timing, interleaved
from bhasa.model.config import ModelConfig
from bhasa.model.language_model import LanguageModel, build
from bhasa.ops import causal_conv, selective_scan

BUDGET = 5.0  # seconds of each measurement


@dataclass(frozen=True)
class Sizes:
    """How much each measurement does."""

    length: int = 2048
    """Tokens of the scan and of the convolution."""
    d_inner: int = 1536
    d_state: int = 16
    training: tuple[int, int] = (4, 256)
    """Sequences of a training step, and tokens of each."""
    prompt: int = 512
    new_tokens: int = 64


QUICK = Sizes(length=64, d_inner=32, training=(2, 16), prompt=32, new_tokens=4)


@dataclass(frozen=True)
class Workload:
    """One line of the table before it is timed; the job does `units` of something."""

    case: str
    program: str
    job: Job
    limit_seconds: float
    units: int
    unit: str = "tokens/s"


def measure(config: ModelConfig, sizes: Sizes) -> dict[str, Any]:
    """The machine, its limits and the rows, as plain JSON values."""
    HardwareProfile(device="cpu", precision="fp32", micro_batch=1).prepare()  # keeps freed memory
    where = machine.describe()
    model = build(config, seed=0)
    rows, length = sizes.training
    rates = limits.machine_rates(model, rows * length)
    loads = [*_operations(sizes, rates), *_model(model, sizes, rates)]
    timings = interleaved({load.case: load.job for load in loads}, budget=BUDGET)
    return result("bench", where, rates, [_row(load, timings[load.case]) for load in loads])


def _row(load: Workload, timing: Timing) -> Row:
    seconds = timing.median
    figure = load.units / seconds if load.unit == "tokens/s" else 1e9 * seconds / load.units
    return Row(load.case, load.program, timing, load.limit_seconds, figure, load.unit)


def _operations(sizes: Sizes, rates: dict[str, float]) -> list[Workload]:
    """The scan and the convolution, by the implementation that `auto` means on this machine."""
    scan = workloads.scan_inputs(1, sizes.length, sizes.d_inner, sizes.d_state)
    conv = workloads.conv_inputs(1, sizes.length, sizes.d_inner)
    elements, size = scan.x.numel() * sizes.d_state, scan.x.nbytes
    products, copied = limits.fastest_products(rates), limits.copy_rate(size)
    jobs = {
        "scan, forward": workloads.forward(workloads.scan, scan),
        "scan, forward + backward": workloads.forward_backward(workloads.scan, scan),
    }
    loads = [
        Workload(
            case,
            selective_scan.BACKENDS.resolve("auto"),
            job,
            limits.scan_seconds(
                elements, size, products=products, copied=copied, backward="backward" in case
            ),
            elements,
            "ns/element",
        )
        for case, job in jobs.items()
    ]
    convolution = Workload(
        "convolution, forward + backward",
        causal_conv.BACKENDS.resolve("auto"),
        workloads.forward_backward(workloads.conv, conv),
        limits.conv_seconds(size, copied),
        conv.x.numel(),
        "ns/element",
    )
    return [*loads, convolution]


def _model(model: LanguageModel, sizes: Sizes, rates: dict[str, float]) -> list[Workload]:
    """A training step, reading a prompt and writing after it."""
    rows, length = sizes.training
    ids = workloads.SameBatch(1, sizes.prompt, model.config.vocab_size).all.inputs[0].tolist()
    products = limits.fastest_products(rates)
    reading = next(rate for name, rate in rates.items() if name.startswith("matrix-vector"))
    return [
        Workload(
            f"training step, {rows} x {length}",
            "bhasa",
            workloads.training_step(model, workloads.SameBatch(rows, length, model.config.vocab_size)),
            6 * limits.product_parameters(model) * rows * length / products,
            rows * length,
        ),
        Workload(
            f"reading {sizes.prompt} tokens",
            "bhasa",
            workloads.prefill(model, ids),
            2 * limits.layer_parameters(model) * sizes.prompt / products,
            sizes.prompt,
        ),
        Workload(
            "writing, one text",
            "bhasa",
            workloads.decoding(model, ids, sizes.new_tokens),
            sizes.new_tokens * limits.weight_bytes(model) / reading,
            sizes.new_tokens,
        ),
    ]
