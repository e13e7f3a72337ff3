"""Recurrent decoding of any number of texts: prompts in chunks, then one step per token.

All that the model knows of what it read is its state. Without attention, or with a window, that has a
constant size, so memory depends neither on the length of the prompt nor on that of the text. A `Slot` is one
text with its state. Those to read are named at each step, so texts join and leave at any step.
"""

from collections.abc import Sequence
from functools import cached_property
from itertools import groupby

import torch
from torch import Tensor

from bhasa.inference import native
from bhasa.model.language_model import LanguageModel
from bhasa.model.mixers.protocol import State

PREFILL_CHUNK = 512  # tokens read at once: enough for the parallel scan, small next to the weights


class Rows:
    """A state of one or more rows, each of which is that of a slot."""

    def __init__(self, state: State, size: int) -> None:
        self.state, self.size = state, size


class Slot:
    """One text: what was read of it, as a row of a state, and the tokens that were not read yet."""

    def __init__(self, state: State, unread: Sequence[int] = ()) -> None:
        self.put(state, unread)

    def put(self, state: State, unread: Sequence[int]) -> None:
        """Become the text with this state of one row."""
        self.rows, self.row = Rows(state, 1), 0
        self.unread = list(unread)


class BatchDecoder:
    """Reads what is unread in slots.

    One slot alone is read by the native step where there is one, with the same bits as ever; several are
    stepped together by torch, whose matrix products round differently with the number of rows.
    """

    def __init__(self, model: LanguageModel) -> None:
        self.model = model
        self._device = next(model.parameters()).device
        self._resident: Slot | None = None
        """The slot whose state the native step holds and changes in place."""

    def open(self, ids: Sequence[int] = (), state: State | None = None) -> Slot:
        """A new text that begins with `ids`, read after a state of one row if there is one."""
        return Slot(self.model.initial_state(1) if state is None else state, ids)

    @torch.inference_mode()
    def next_logits(self, slots: Sequence[Slot]) -> Tensor:
        """Read all that is unread in each slot; the logits (r, V) of the token that comes after it."""
        if len(slots) == 1:
            return self.next_logits_of(slots[0])[None]
        if not all(slot.unread for slot in slots):
            raise ValueError("nothing to continue: feed at least one token first")
        if len(set(slots)) < len(slots):
            raise ValueError("a slot is read once at each step: name it once")
        for slot in slots:
            while len(slot.unread) > PREFILL_CHUNK:
                self._prefill(slot, PREFILL_CHUNK)
        stepping = [slot for slot in slots if len(slot.unread) == 1]
        if len(stepping) == len(slots):
            return self._step(slots)
        read = {slot: self._prefill(slot, PREFILL_CHUNK) for slot in slots if len(slot.unread) > 1}
        if len(stepping) == 1:
            read[stepping[0]] = self._step_alone(stepping[0])
        elif stepping:
            read |= dict(zip(stepping, self._step(stepping), strict=True))
        return torch.stack([read[slot] for slot in slots])

    @torch.inference_mode()
    def next_logits_of(self, slot: Slot) -> Tensor:
        """`next_logits` of one slot, (V,)."""
        if len(slot.unread) == 1:
            return self._step_alone(slot)
        if not slot.unread:
            raise ValueError("nothing to continue: feed at least one token first")
        while len(slot.unread) > PREFILL_CHUNK:
            self._prefill(slot, PREFILL_CHUNK)
        return self._prefill(slot, PREFILL_CHUNK) if len(slot.unread) > 1 else self._step_alone(slot)

    @torch.inference_mode()
    def state(self, slot: Slot) -> State:
        """A copy of one slot's state, since native steps change theirs in place."""
        return self.model.select_state(slot.rows.state, [slot.row])

    def _prefill(self, slot: Slot, most: int) -> Tensor:
        ids, rest = slot.unread[:most], slot.unread[most:]
        logits, state = self.model.last_logits(torch.tensor([ids], device=self._device), self._joined([slot]))
        slot.put(state, rest)
        return logits[0]

    def _step_alone(self, slot: Slot) -> Tensor:
        if self._stepper is None:
            return self._step([slot])[0]
        return self._native_step(slot, self._stepper)

    def _step(self, slots: Sequence[Slot]) -> Tensor:
        ids = torch.tensor([slot.unread[0] for slot in slots], device=self._device)
        logits, state = self.model.step(ids, self._joined(slots))
        rows = Rows(state, len(slots))
        for row, slot in enumerate(slots):
            slot.rows, slot.row, slot.unread = rows, row, []
        return logits

    def _native_step(self, slot: Slot, stepper: native.NativeStepper) -> Tensor:
        resident = self._resident
        if resident is not None and resident is not slot and resident.rows.state is stepper.state:
            resident.put(self.state(resident), resident.unread)
        state = slot.rows.state if slot.rows.size == 1 else self._joined([slot])
        logits = stepper.step(slot.unread[0], state)
        slot.put(stepper.state, ())
        self._resident = slot
        return logits

    def _joined(self, slots: Sequence[Slot]) -> State:
        """The states of these slots as one, without copying where they are one already."""
        states = []
        for rows, group in groupby(slots, lambda slot: slot.rows):
            wanted = [slot.row for slot in group]
            whole = wanted == list(range(rows.size))
            states.append(rows.state if whole else self.model.select_state(rows.state, wanted))
        return states[0] if len(states) == 1 else self.model.join_states(states)

    @cached_property
    def _stepper(self) -> native.NativeStepper | None:
        return native.NativeStepper(self.model) if native.missing(self.model) is None else None
