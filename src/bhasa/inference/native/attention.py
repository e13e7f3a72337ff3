"""`ops/native/decode_attention.h`, and the cache that grows under it."""

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from bhasa.inference.native.mixer import Memory, NativeMixer, Part, named
from bhasa.model.mixers.attention import Attention, AttentionState, alibi_slopes, frequencies
from bhasa.ops.native import DecodeAttention, address
from bhasa.ops.native.structures import ATTENTION_BLOCK, DECODE_ATTENTION

SMALLEST_CACHE = 64  # columns


class NativeAttention(NativeMixer[Attention]):
    """Its cache lies in columns `first` to `first + past` of buffers that have room for as many again.

    When the room is used up what is kept moves to new buffers; so a window slides too. Views of the old ones
    that somebody holds stay as they are.
    """

    code = DECODE_ATTENTION
    structure: DecodeAttention
    _keys: Tensor
    _values: Tensor
    _first: int
    _past: int

    @classmethod
    def parts(cls, mixer: Attention) -> Iterator[Part]:
        return named(mixer, nn.Linear, "q_proj", "k_proj", "v_proj", "o_proj")

    def __init__(self, mixer: Attention, memory: Memory) -> None:
        config, given, m = mixer.config, mixer.config.attention, mixer
        width = given.num_heads * config.head_dim
        self.own = max(config.d_model + config.head_dim, width)
        self._length = torch.zeros(1, dtype=torch.int64)
        self._longest = None if given.window is None else given.window - 1
        order = {
            "rope": (frequencies(config.head_dim, given.rope_theta), None),
            "alibi": (None, alibi_slopes(given.num_heads)),
            "none": (None, None),
        }[given.positions]
        projections = (m.q_proj, m.k_proj, m.v_proj, m.o_proj)
        self.structure = DecodeAttention(
            *(given.num_heads, given.resolved_heads_kv, config.head_dim),
            *map(memory.keep, order),
            *(memory.keep(t) for projection in projections for t in (projection.weight, projection.bias)),
            length=memory.keep(self._length),
            q=memory.scratch(q=width)[0],
        )
        self.read(mixer.initial_state(1))

    def read(self, state: AttentionState) -> None:
        self._length.copy_(state.length)
        self._move(state.keys, state.values)

    def advance(self) -> AttentionState:
        m = self.structure
        if self._first + self._past == m.capacity:
            self._move(self._cached(self._keys), self._cached(self._values))
        m.column, m.past = self._first + self._past, self._past
        self._past += 1
        if self._longest is not None:
            self._past = min(self._past, self._longest)
        self._first = m.column + 1 - self._past
        return AttentionState(self._cached(self._keys), self._cached(self._values), self._length)

    def _cached(self, buffer: Tensor) -> Tensor:
        return buffer.narrow(2, self._first, self._past)  # (1, h_kv, s, p)

    def _move(self, keys: Tensor, values: Tensor) -> None:
        """Both (1, h_kv, s, p), to the front of new buffers."""
        m = self.structure
        self._first, self._past = 0, keys.shape[2]
        m.capacity = max(SMALLEST_CACHE, 2 * self._past)
        shape = (1, m.kv_heads, m.capacity, m.head_width)
        self._keys, self._values = torch.empty(shape), torch.empty(shape)
        self._cached(self._keys).copy_(keys)
        self._cached(self._values).copy_(values)
        blocks = -(-m.capacity // ATTENTION_BLOCK)
        self._partial = torch.empty(m.heads, blocks, m.head_width + 2)
        m.keys, m.values, m.partial = map(address, (self._keys, self._values, self._partial))


MIXER = NativeAttention
