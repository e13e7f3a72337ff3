"""One report for all measures: JSON to compare and to read back, and CSV tables; `pages.py` shows its texts.

In memory a figure's name is dotted, `finetuned.perplexity`; in JSON it is nested, as DVC and people read it.
The tables can be long and stand in files of their own, so a report that was read back has none.
"""

import csv
import io
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Self

from bhasa.errors import FileError
from bhasa.evaluation.figures import Figures, Row, Text
from bhasa.journal import read_json, write_json, write_text

DIGITS = 8  # significant ones


@dataclass
class Report:
    """What was measured, of which models and how."""

    models: dict[str, str] = field(default_factory=dict)
    """The SHA-256 of the weights of each model by its name."""
    metrics: dict[str, float] = field(default_factory=dict)
    """By dotted names: the model or yardstick, then the figure's own."""
    context: dict[str, Any] = field(default_factory=dict)
    """What else the figures depend on: sampling, machine."""
    texts: list[Text] = field(default_factory=list)
    tables: dict[str, list[Row]] = field(default_factory=dict)
    """The rows of each measure, with the model in the first column."""
    axes: dict[str, str] = field(default_factory=dict)
    """Of the tables that hold curves, the column that these run over."""

    def add(self, subject: str, measure: str, figures: Figures) -> None:
        """Take in what `measure` found of `subject`."""
        self.metrics |= {f"{subject}.{name}": _rounded(value) for name, value in figures.metrics.items()}
        self.texts += figures.texts
        if figures.rows:
            rows = [{name: _rounded(value) for name, value in row.items()} for row in figures.rows]
            self.tables.setdefault(measure, []).extend({"model": subject} | row for row in rows)
        if figures.axis:
            self.axes[measure] = figures.axis

    def curves(self) -> Iterator[tuple[int, dict[str, float]]]:
        """The points of all curves: (step, values by dotted names)."""
        for measure, axis in self.axes.items():
            for row in self.tables[measure]:
                values = {key: value for key, value in row.items() if key not in ("model", axis)}
                yield int(row[axis]), {f"{row['model']}.{key}": float(v) for key, v in values.items()}

    def save(self, path: Path) -> None:
        """Write all but the tables, as JSON."""
        texts = {"texts": [asdict(text) for text in self.texts]} if self.texts else {}
        context = {"context": self.context} if self.context else {}
        write_json(path, {"models": self.models, **_nested(self.metrics), **context, **texts})

    @classmethod
    def read(cls, path: Path) -> Self:
        """What `save` wrote."""
        values = read_json(path)
        try:
            return cls(
                models={name: str(sha) for name, sha in values.pop("models").items()},
                context=values.pop("context", {}),
                texts=[Text(**text) for text in values.pop("texts", [])],
                metrics={name: value + 0 for name, value in _flat(values)},
            )
        except (KeyError, TypeError, AttributeError) as error:
            raise FileError(path, f"not a report of measures ({error!r})") from None

    def write_tables(self, folder: Path) -> None:
        """Write each table as `<measure>.csv`."""
        for measure, rows in self.tables.items():
            stream = io.StringIO()
            table = csv.DictWriter(stream, list(rows[0]), lineterminator="\n")
            table.writeheader()
            table.writerows(rows)
            write_text(folder / f"{measure}.csv", stream.getvalue())


def _rounded(value: Any) -> Any:
    return float(f"{value:.{DIGITS}g}") if isinstance(value, float) else value


def _nested(flat: Mapping[str, float]) -> dict[str, Any]:
    nested: dict[str, Any] = {}
    for name, value in flat.items():
        *above, last = name.split(".")
        place = nested
        for part in above:
            place = place.setdefault(part, {})
        place[last] = value
    return nested


def _flat(nested: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in nested.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value
