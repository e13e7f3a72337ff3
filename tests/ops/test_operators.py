"""Our kernels as torch sees them: registered whole, compiled without a break, recomputed by checkpoints."""

import pytest
import torch
from torch.utils.checkpoint import checkpoint

from bhasa.ops import native
from bhasa.ops.causal_conv import causal_conv
from bhasa.ops.cross_entropy import cross_entropy
from bhasa.ops.operators import schema
from bhasa.ops.rms_norm import rms_norm
from bhasa.ops.rms_norm.interface import NormInputs
from bhasa.ops.selective_scan import selective_scan
from bhasa.ops.ssd import ssd

pytestmark = pytest.mark.skipif(
    native.missing(torch.device("cpu"), torch.float32) is not None, reason="the kernels are not built"
)


def normal(*shape, grad=True):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(sum(shape))).requires_grad_(grad)


def scan_inputs():
    x, dt, z, B, C = (normal(2, 40, width) for width in (17, 17, 17, 5, 5))
    A = (-normal(17, 5, grad=False).exp()).requires_grad_()
    return x, dt, A, B, C, normal(17), z, normal(17), normal(2, 17, 5)


def ssd_inputs():
    x, dt, B, C = normal(2, 40, 4, 5), normal(2, 40, 4), normal(2, 40, 2, 3), normal(2, 40, 2, 6)[..., ::2]
    dt, A = (v.detach().exp().requires_grad_() for v in (dt, normal(4)))
    return (
        x,
        dt,
        (-A).detach().requires_grad_(),
        B,
        C.detach().requires_grad_(),
        normal(4),
        normal(2, 4, 5, 3),
    )


KEEP = torch.rand(2, 40, generator=torch.Generator().manual_seed(0)) < 0.9
IDS = (~KEEP).cumsum(1)
OPERATORS = {
    "selective_scan_native": lambda: (*scan_inputs(), KEEP, True),
    "ssd_native": lambda: (*ssd_inputs(), KEEP, True),
    "causal_conv_native": lambda: (normal(2, 40, 17), normal(17, 4), normal(17), normal(2, 17, 3), IDS, True),
    "rms_norm_native": lambda: (normal(2, 40, 18), normal(18), 1e-5, normal(2, 40, 18), 2, True),
    "cross_entropy_native": lambda: (normal(80, 17), normal(50, 17), IDS.flatten(), True, True),
    "cross_entropy_chunked": lambda: (normal(80, 17), normal(50, 17), IDS.flatten(), True, True),
}


@pytest.mark.parametrize("name", OPERATORS)
def test_torch_finds_the_operator_well_made(name):
    operator = getattr(torch.ops.bhasa, name).default
    assert set(torch.library.opcheck(operator, OPERATORS[name]()).values()) == {"SUCCESS"}


def test_the_schema_follows_from_the_fields():
    assert schema(NormInputs) == "Tensor x, Tensor weight, float eps, Tensor? z, int groups"


def layer(x, dt, A, B, C, D, z, dt_bias, initial_state):
    """All of them, one after the other."""
    x, _ = causal_conv(x, D[:, None] + dt_bias[:4], dt_bias)
    y, state = selective_scan(
        x, dt, A, B, C, D, z=z, dt_bias=dt_bias, initial_state=initial_state, segment_ids=IDS
    )
    duality, _ = ssd(y[..., None], dt, A[:, 0], B[:, :, None], C[:, :, None], D, segment_ids=IDS)
    hidden = rms_norm(y + duality.squeeze(-1), D, 1e-5)
    return cross_entropy(hidden, dt[0], IDS) + state.sum()


def loss_and_gradients(function):
    inputs = scan_inputs()
    loss = function(*inputs)
    return [loss.detach(), *torch.autograd.grad(loss, inputs)]


def test_it_compiles_as_one_graph():
    expected = loss_and_gradients(layer)
    found = loss_and_gradients(torch.compile(layer, fullgraph=True, backend="aot_eager"))
    for ours, theirs in zip(found, expected, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-5)


def test_activations_may_be_recomputed():
    expected = loss_and_gradients(layer)
    found = loss_and_gradients(lambda *inputs: checkpoint(layer, *inputs, use_reentrant=False))
    assert all(map(torch.equal, found, expected))


def test_nothing_is_kept_for_a_backward_that_will_not_be():
    with torch.no_grad():
        *_, saved = torch.ops.bhasa.selective_scan_native(*scan_inputs(), None, False)
        *_, states = torch.ops.bhasa.ssd_native(*ssd_inputs(), None, False)
    assert saved.numel() == states.numel() == 0
