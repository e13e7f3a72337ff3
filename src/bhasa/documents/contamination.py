"""How much of the held-out documents stands in train: runs of eight words, with and without near duplicates.

One run in 16 is looked at, chosen by value and so the same in all documents; they are in the documents'
signatures, and no text is read again. Of each held-out split the documents with the first ids are measured,
up to `MOST_RUNS`; those alone are in memory, 8 bytes each.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bhasa.documents.shingles import Hashes

MOST_RUNS = 1 << 20  # of a split: those of about 100 MB of text
LEVELS = {"half_seen": 0.5, "mostly_seen": 0.8}
"""Documents are counted from this share of their runs on."""


class Signed(NamedTuple):
    """A document of a split."""

    media_type: str
    runs: Hashes
    """Each once."""
    left_out: bool
    """It is a near duplicate of an earlier one."""


def contamination(held_out: Mapping[str, Iterable[Signed]], train: Iterable[Signed]) -> dict[str, Any]:
    """`before` near duplicates are left out and `after`, of each split in `held_out`: see `_figures`."""
    measured = {split: list(_first(documents)) for split, documents in held_out.items()}
    runs = [document.runs for documents in measured.values() for document in documents]
    wanted = np.unique(np.concatenate([np.empty(0, np.uint64), *runs]))
    in_all, in_kept = _seen(wanted, train)
    kept = {split: [each for each in found if not each.left_out] for split, found in measured.items()}
    return {
        "before": {split: _figures(found, wanted, in_all) for split, found in measured.items()},
        "after": {split: _figures(found, wanted, in_kept) for split, found in kept.items()},
    }


def _first(documents: Iterable[Signed]) -> Iterator[Signed]:
    """Those that have a run to look at, until there are enough."""
    room = MOST_RUNS
    for document in documents:
        if room <= 0:
            return
        if len(document.runs):
            yield document
        room -= len(document.runs)


def _seen(wanted: Hashes, train: Iterable[Signed]) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """(wanted,): which are in a document of `train`, and which in one that is kept."""
    in_all, in_kept = np.zeros(len(wanted), bool), np.zeros(len(wanted), bool)
    for document in train if len(wanted) else ():
        places = np.minimum(np.searchsorted(wanted, document.runs), len(wanted) - 1)
        places = places[wanted[places] == document.runs]
        in_all[places] = True
        if not document.left_out:
            in_kept[places] = True
    return in_all, in_kept


def _figures(documents: list[Signed], wanted: Hashes, seen: NDArray[np.bool_]) -> dict[str, Any]:
    """Documents measured, the share of their runs that are in train, how many documents are seen by half or
    mostly, and the share by media type."""
    types = [document.media_type for document in documents]
    totals = np.array([len(document.runs) for document in documents], np.int64)
    found = np.array(
        [np.count_nonzero(seen[np.searchsorted(wanted, document.runs)]) for document in documents], np.int64
    )
    by_type = {name: np.array([each == name for each in types]) for name in sorted(set(types))}
    return {
        "documents": len(documents),
        "seen": _share(found, totals),
        **{name: int(np.count_nonzero(found >= level * totals)) for name, level in LEVELS.items()},
        "media_types": [
            {
                "media_type": name,
                "documents": int(chosen.sum()),
                "seen": _share(found[chosen], totals[chosen]),
            }
            for name, chosen in by_type.items()
        ],
    }


def _share(found: NDArray[np.int64], totals: NDArray[np.int64]) -> float:
    return round(int(found.sum()) / max(1, int(totals.sum())), 4)
