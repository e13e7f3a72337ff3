"""Causal attention with grouped queries (Vaswani et al. 2017; Ainslie et al. 2023), full or in a window.

Glossary: h heads of queries, h_kv of keys and values, p the width of a head, s tokens of the past.

Its state is its cache: keys and values of what was read, the newest last, so that all rows of a batch have
their newest token in the same column, and beside them how many of them belong to the text. With a window the
cache holds window - 1 tokens and no more. What a token may look at is one number per token, the first column
that it sees: the start of its document, or of its window.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bhasa.model.config import ModelConfig
from bhasa.model.mixers.protocol import Mixer, scale_output
from bhasa.ops import segments

QUERIES = 512  # rows whose mask is held at once, where there is one


class AttentionState(NamedTuple):
    """The cache of one layer: keys and values of all tokens so far, or of a window."""

    keys: Tensor
    """(b, h_kv, s, p), rotated."""
    values: Tensor
    """(b, h_kv, s, p)."""
    length: Tensor
    """(b,) int64: tokens of the current document; the last of the s columns are the last of these."""


class Attention(Mixer[AttentionState]):
    """(b, l, d_model) to (b, l, d_model)."""

    def __init__(self, config: ModelConfig, backend: str = "auto") -> None:
        super().__init__(config, backend)
        width, given = config.head_dim, config.attention
        self.q_proj = nn.Linear(config.d_model, given.num_heads * width, bias=config.use_bias)
        self.k_proj = nn.Linear(config.d_model, given.resolved_heads_kv * width, bias=config.use_bias)
        self.v_proj = nn.Linear(config.d_model, given.resolved_heads_kv * width, bias=config.use_bias)
        self.o_proj = nn.Linear(given.num_heads * width, config.d_model, bias=config.use_bias)
        if config.use_bias:
            for projection in (self.q_proj, self.k_proj, self.v_proj, self.o_proj):
                nn.init.zeros_(projection.bias)
        scale_output(self.o_proj, config)

    def forward(
        self,
        hidden: Tensor,
        state: AttentionState | None = None,
        segment_ids: Tensor | None = None,
        lengths: Tensor | None = None,
    ) -> tuple[Tensor, AttentionState]:
        state = state or self.initial_state(len(hidden))
        origin = _origins(state, hidden.shape[1], segment_ids)  # (b, 1 + l)
        column = state.keys.shape[2] + torch.arange(hidden.shape[1], device=hidden.device)  # (l,)
        q, k, v = self._heads(hidden, column - origin[:, 1:])
        keys, values = torch.cat([state.keys, k], dim=2), torch.cat([state.values, v], dim=2)
        alone = state.keys.shape[2] == 0 and segment_ids is None
        y = self._attend(q, keys, values, None if alone else origin[:, 1:])
        return self.o_proj(y.transpose(1, 2).flatten(2)), self._after(keys, values, origin, lengths)

    def step(self, hidden: Tensor, state: AttentionState) -> tuple[Tensor, AttentionState]:
        y, state = self.forward(hidden[:, None], state)
        return y[:, 0], state

    def initial_state(self, batch_size: int) -> AttentionState:
        """Nothing."""
        weight = self.k_proj.weight
        empty = weight.new_empty(batch_size, self.config.attention.resolved_heads_kv, 0, self.config.head_dim)
        return AttentionState(empty, empty, torch.zeros(batch_size, dtype=torch.int64, device=weight.device))

    def select(self, state: AttentionState, rows: Tensor) -> AttentionState:
        """Without the columns that only other rows filled."""
        keys, values, length = super().select(state, rows)
        filled = min(keys.shape[2], int(length.max())) if len(rows) else 0
        first = keys.shape[2] - filled
        return AttentionState(keys[:, :, first:], values[:, :, first:], length)

    def join(self, states: Sequence[AttentionState]) -> AttentionState:
        """Shorter caches are filled up on the left, where their lengths say that nothing is of their text."""
        columns = max(state.keys.shape[2] for state in states)
        return super().join([_filled_up(state, columns) for state in states])

    def state_bytes(self, tokens: int) -> int:
        window = self.config.attention.window
        columns = tokens if window is None else min(tokens, window - 1)
        empty = self.initial_state(1)
        column = empty.keys.element_size() * empty.keys.shape[1] * empty.keys.shape[3]
        return empty.length.nbytes + 2 * column * columns

    def _heads(self, hidden: Tensor, positions: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Queries (b, h, l, p), keys and values (b, h_kv, l, p)."""
        q, k, v = (
            projection(hidden).unflatten(-1, (-1, self.config.head_dim)).transpose(1, 2)
            for projection in (self.q_proj, self.k_proj, self.v_proj)
        )
        if self.config.attention.positions == "rope":
            cos, sin = rotations(positions, self.config.head_dim, self.config.attention.rope_theta)
            q, k = rotate(q, cos, sin), rotate(k, cos, sin)
        return q, k, v

    def _attend(self, q: Tensor, keys: Tensor, values: Tensor, start: Tensor | None) -> Tensor:
        """Values mixed by each query (b, h, l, p); without `start` all columns are of one document."""
        given, past = self.config.attention, keys.shape[2] - q.shape[2]
        near = given.window is None or given.window >= keys.shape[2]
        if start is None and near and given.positions != "alibi":
            return F.scaled_dot_product_attention(q, keys, values, is_causal=True, enable_gqa=True)
        outputs = []
        for first in range(0, q.shape[2], QUERIES):
            part = slice(first, min(first + QUERIES, q.shape[2]))
            oldest = 0 if given.window is None else max(0, past + first - given.window + 1)
            seen = slice(oldest, past + part.stop)
            mask = self._mask(seen, past, part, None if start is None else start[:, part])
            k, v = keys[:, :, seen], values[:, :, seen]
            outputs.append(
                F.scaled_dot_product_attention(
                    q[:, :, part], k, v, attn_mask=mask.to(q.dtype), enable_gqa=True
                )
            )
        return torch.cat(outputs, dim=2)

    def _mask(self, columns: slice, past: int, queries: slice, start: Tensor | None) -> Tensor:
        """What is added to the scores of these queries and columns, (b or 1, h or 1, l, s)."""
        given, device = self.config.attention, self.q_proj.weight.device
        column = torch.arange(columns.start, columns.stop, device=device)
        distance = (past + torch.arange(queries.start, queries.stop, device=device))[:, None] - column
        seen = distance >= 0  # (l, s)
        if given.window is not None:
            seen = seen & (distance < given.window)
        if start is not None:
            seen = seen & (column >= start[..., None])  # (b, l, s)
        seen = seen[:, None] if seen.ndim == 3 else seen[None, None]
        bias = torch.zeros((), device=device)
        if given.positions == "alibi":
            bias = -alibi_slopes(given.num_heads).to(device)[:, None, None] * distance  # (h, l, s)
        return bias.where(seen, -torch.inf)

    def _after(self, keys: Tensor, values: Tensor, origin: Tensor, lengths: Tensor | None) -> AttentionState:
        """The cache after each row's own last token, cut to what a later token can see."""
        window, total = self.config.attention.window, keys.shape[2]
        if lengths is None:
            length = total - origin[:, -1]
        else:
            padding = origin.shape[1] - 1 - lengths  # (b,)
            length = total - padding - origin.gather(1, lengths[:, None])[:, 0]
            column = (torch.arange(total, device=keys.device) - padding[:, None]).clamp(min=0)  # (b, s)
            index = column[:, None, :, None].expand_as(keys)
            keys, values = keys.gather(2, index), values.gather(2, index)
        if window is not None:
            kept = slice(max(0, total - window + 1), None)
            keys, values = keys[:, :, kept], values[:, :, kept]
        return AttentionState(keys, values, length)


def _filled_up(state: AttentionState, columns: int) -> AttentionState:
    room = (0, 0, columns - state.keys.shape[2], 0)
    return AttentionState(F.pad(state.keys, room), F.pad(state.values, room), state.length)


def _origins(state: AttentionState, length: int, segment_ids: Tensor | None) -> Tensor:
    """(b, 1 + l): the column in which the document of the state, then of each token, begins.

    Columns count through cache and input; one before 0 is no longer in the cache.
    """
    past = state.keys.shape[2]
    before = (past - state.length)[:, None]  # (b, 1)
    if segment_ids is None:
        return before.expand(-1, 1 + length)
    column = past + torch.arange(length, device=before.device)
    begins = torch.where(segments.starts(segment_ids), column, before)  # (b, l)
    return torch.cat([before, begins], dim=1).cummax(dim=1).values


def rotations(positions: Tensor, width: int, theta: float) -> tuple[Tensor, Tensor]:
    """Cosine and sine of each position's angles, (b, 1, l, width / 2): RoFormer (Su et al. 2021), eq. 15."""
    angle = positions[:, None, :, None].float() * frequencies(width, theta, positions.device)
    return angle.cos(), angle.sin()


def frequencies(width: int, theta: float, device: torch.device | None = None) -> Tensor:
    """(width / 2,): the angle by which one token turns each pair."""
    power = -(torch.arange(0, width, 2, device=device).float() / width)
    return torch.pow(theta, power)


def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """x (b, h, l, p), its first half as real and its second as imaginary parts, as Llama has them."""
    real, imaginary = x.chunk(2, dim=-1)
    return torch.cat([real * cos - imaginary * sin, imaginary * cos + real * sin], dim=-1).to(x.dtype)


def alibi_slopes(heads: int) -> Tensor:
    """(h,): ALiBi (Press et al. 2022), section 3; beyond a power of two, every second slope of the next."""
    power = 1 << (heads.bit_length() - 1)
    slopes = [2 ** (-8 * (i + 1) / power) for i in range(power)]
    between = [2 ** (-4 * (i + 1) / power) for i in range(0, 2 * power, 2)]
    return torch.tensor(slopes + between[: heads - power])
