"""Quality rules for prose: `FILTERS` maps a name in `ingest.quality` to a function that judges a text.

The function gives the reason why a text is left out, or nothing. It judges and never changes the text; rules
that publications apply by dropping lines decide here by the lines that would stay. Thresholds are those of
the publications, and ratios are taken as datatrove takes them. None of them is meant for source code.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from bhasa.documents.filters import c4, fineweb, gopher

Rules = Literal["gopher-quality", "gopher-repetition", "c4", "fineweb"]

FILTERS: dict[Rules, Callable[[str, str], str]] = {
    "gopher-quality": gopher.quality,
    "gopher-repetition": gopher.repetition,
    "c4": c4.quality,
    "fineweb": fineweb.quality,
}
"""Each takes a text and the code of the language that it is in, `und` where nobody knows."""
