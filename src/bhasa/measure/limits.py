"""What the machine could do at best, measured by torch's own best routines in the same run.

A limit is the fastest round, never the median: what was reached once can be reached. Rates of memory are
measured on as many bytes as the workload has, so that a small model is held against the cache it lies in.
"""

from collections.abc import Callable, Iterable, Mapping

import torch
from torch import nn

from bhasa.measure.timing import interleaved

Shape = tuple[int, int, int]
"""(m, k, n) of a matrix product (m, k) x (k, n)."""

CUBE: Shape = (1024, 1024, 1024)

# Vector instructions per (token x channel x state) element of a scan, each as fast as a multiply-add of a
# matrix product: exp is range reduction, a polynomial of degree 5 and the exponent (9); the recurrence is
# dt A, u B, decay h + u B and C h (4). Backward computes exp and state anew (12), then needs 9 more for
# dh, dB, dC, du, ddt and dA.
SCAN_FORWARD, SCAN_BACKWARD = 9 + 4, 12 + 9


def product_rate(shapes: Iterable[Shape] = (CUBE,)) -> float:
    """FLOP/s of float32 matrix products of these shapes together, each result written to standing memory."""
    jobs, flops = {}, 0
    for i, (m, k, n) in enumerate(shapes):
        jobs[str(i)] = _product(m, k, n)
        flops += 2 * m * k * n
    return flops / sum(timing.best for timing in interleaved(jobs).values())


def copy_rate(size: int) -> float:
    """Bytes read and written per second when a float32 tensor of `size` bytes is copied."""
    source = torch.ones(max(1, size // 4))
    target = torch.empty_like(source)
    return 2 * source.nbytes / _best(lambda: target.copy_(source))


def read_rate(size: int, columns: int = 1024) -> float:
    """Bytes per second of a float32 matrix-vector product whose matrix has `size` bytes."""
    matrix = torch.ones(max(1, size // (4 * columns)), columns)
    vector, out = torch.ones(columns), torch.empty(len(matrix))
    return matrix.nbytes / _best(lambda: torch.mv(matrix, vector, out=out))


def linear_layers(model: nn.Module) -> list[nn.Linear]:
    """The layers whose weights are multiplied with every token, the output projection among them."""
    return [module for module in model.modules() if isinstance(module, nn.Linear)]


def product_parameters(model: nn.Module) -> int:
    """Numbers that a token is multiplied with: 2 FLOP each forward, 6 with backward."""
    return sum(layer.weight.numel() for layer in linear_layers(model))


def layer_parameters(model: nn.Module) -> int:
    """The same without the output projection, which reading a prompt needs for its last token alone."""
    return sum(layer.weight.numel() for layer in linear_layers(model)[:-1])


def weight_bytes(model: nn.Module) -> int:
    """Bytes that writing one token must read: every weight once, of an untied embedding only a row."""
    head = linear_layers(model)[-1].weight
    unread = sum(
        m.weight.nbytes for m in model.modules() if isinstance(m, nn.Embedding) and m.weight is not head
    )
    return sum(parameter.nbytes for parameter in model.parameters()) - unread


def product_shapes(model: nn.Module, tokens: int) -> list[Shape]:
    """The different matrix products of one forward pass over `tokens`."""
    return sorted({(tokens, layer.in_features, layer.out_features) for layer in linear_layers(model)})


def scan_seconds(elements: int, x_bytes: int, *, products: float, copied: float, backward: bool) -> float:
    """Least time of a scan of b l d n `elements`: that of its arithmetic or of its memory, the longer.

    `products` is the FLOP/s of matrix products, `copied` the rate at which a tensor as large as x is copied.
    Forward reads x, dt and z and writes y; backward reads them and dy and writes three gradients.
    """
    instructions = SCAN_FORWARD + (SCAN_BACKWARD if backward else 0)
    tensors = 4 + (7 if backward else 0)
    return max(elements * instructions * 2 / products, tensors * x_bytes / copied)


def conv_seconds(x_bytes: int, copied: float) -> float:
    """Least time of the convolution, forward and backward: x is read twice, dy once, y and dx are written.

    `copied` is the rate at which a tensor of this size is copied.
    """
    return 5 * x_bytes / copied


def machine_rates(model: nn.Module, tokens: int) -> dict[str, float]:
    """The limits that a model is held against, by name: matrix products of `tokens` rows, and memory."""
    weights = weight_bytes(model)
    return {
        "products of 1024 cubed": product_rate(),
        "products of the model": product_rate(product_shapes(model, tokens)),
        "copy of 256 MB": copy_rate(1 << 28),
        f"matrix-vector of {weights / 1e6:,.0f} MB": read_rate(weights, linear_layers(model)[-1].in_features),
    }


def fastest_products(rates: Mapping[str, float]) -> float:
    """The FLOP/s to hold against: the faster kind of matrix product."""
    return max(rate for name, rate in rates.items() if name.startswith("products"))


def _product(m: int, k: int, n: int) -> Callable[[], object]:
    a, b, out = torch.ones(m, k), torch.ones(n, k), torch.empty(m, n)
    return lambda: torch.mm(a, b.T, out=out)


def _best(job: Callable[[], object]) -> float:
    return interleaved({"": job})[""].best
