"""Sequence mixers: modules that move information between tokens and carry a state.

A mixer has `forward(hidden, state, segment_ids, lengths) -> (hidden, state)`, `step(hidden, state)` for one
token, and `initial_state(batch_size)`.
"""

from bhasa.model.mixers.mamba import Mamba, MambaState

__all__ = ["Mamba", "MambaState"]
