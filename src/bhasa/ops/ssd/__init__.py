import torch, math
from torch.nn import functional as F
from bhasa.ops import segments
from bhasa.ops.backends import Backends, Twin


def ssd_step(x, dt, A, B, C, D, *, dt_bias=None, dt_limit=(0.0, math.inf), state):
    dt = F.softplus(dt if dt_bias is None else dt + dt_bias).clamp(*dt_limit)
    r = x.shape[1] // B.shape[1]
    B, C = B.repeat_interleave(r, 1), C.repeat_interleave(r, 1)
    state = torch.exp(dt * A)[..., None, None] * state + (dt[..., None] * x)[..., None] * B[:, :, None]
    return (state * C[:, :, None]).sum(-1) + D[:, None] * x, state


def ssd(
    x,
    dt,
    A,
    B,
    C,
    D,
    *,
    dt_bias=None,
    dt_limit=(0.0, math.inf),
    initial_state=None,
    segment_ids=None,
    lengths=None,
    backend="auto",
):
    b, l, h, p = x.shape
    dt = F.softplus(dt if dt_bias is None else dt + dt_bias).clamp(*dt_limit)
    if lengths is not None:
        dt = dt.masked_fill((torch.arange(l) >= lengths[:, None])[..., None], 0)
    keep = None if segment_ids is None else ~segments.starts(segment_ids)
    r = h // B.shape[2]
    B, C = B.repeat_interleave(r, 2), C.repeat_interleave(r, 2)
    state = initial_state if initial_state is not None else x.new_zeros(b, h, p, B.shape[-1])
    ys = []
    for t in range(l):
        d = torch.exp(dt[:, t] * A)
        if keep is not None:
            d = d * keep[:, t, None]
        state = d[..., None, None] * state + (dt[:, t, :, None] * x[:, t])[..., None] * B[:, t, :, None]
        ys.append((state * C[:, t, :, None]).sum(-1) + D[:, None] * x[:, t])
    return torch.stack(ys, 1), state


BACKENDS = Backends(reference=Twin(ssd))
