"""What a measure gives: numbers to compare, a table, and texts to read."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

Cell = str | int | float
Row = Mapping[str, Cell]


@dataclass(frozen=True)
class Text:
    """A text that a model wrote."""

    prompt: str
    writer: str
    """The model, and how it was asked if that is not the usual way."""
    text: str


@dataclass(frozen=True)
class Figures:
    """What one measure found of one model."""

    metrics: Mapping[str, float] = field(default_factory=dict)
    """Numbers by their names, which a measure shares with no other."""
    rows: Sequence[Row] = ()
    """A table of any length; all rows have the same columns."""
    axis: str | None = None
    """The column of `rows` over which the others are curves; None where they are not."""
    texts: Sequence[Text] = ()
