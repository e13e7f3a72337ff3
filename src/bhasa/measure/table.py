"""One kind of table for every measurement: rows to JSON, to a terminal, to Markdown."""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bhasa.measure.timing import Timing

HEADS = ("case", "program", "% of limit", "figure", "median", "IQR", "rounds", "error", "peak", "note")


@dataclass(frozen=True)
class Row:
    """What one program did in one case."""

    case: str
    program: str
    timing: Timing | None = None
    """None where the program could not be measured; `note` says why."""
    limit_seconds: float | None = None
    """The least time that the machine's measured limits allow."""
    figure: float | None = None
    """The case's own figure, in `unit`."""
    unit: str = ""
    error: float | None = None
    """Largest deviation from a float64 result, as a share of its largest value; verified before timing."""
    peak_bytes: int | None = None
    note: str = ""

    def as_mapping(self) -> dict[str, Any]:
        """Plain JSON values."""
        percent = self.timing and self.limit_seconds and 100 * self.limit_seconds / self.timing.median
        return {
            "case": self.case,
            "program": self.program,
            "percent_of_limit": percent,
            "figure": self.figure,
            "unit": self.unit,
            "seconds": self.timing and vars(self.timing),
            "error": self.error,
            "peak_bytes": self.peak_bytes,
            "note": self.note,
        }


def cells(rows: Sequence[Mapping[str, Any]]) -> list[list[str]]:
    """A head and a line of text a row, without the columns that no row fills."""
    lines = [list(HEADS), *(_line(row) for row in rows)]
    filled = [i for i in range(len(HEADS)) if any(line[i] for line in lines[1:])]
    return [[line[i] for i in filled] for line in lines]


def result(
    name: str, machine: Mapping[str, Any], limits: Mapping[str, float], rows: Sequence[Row]
) -> dict[str, Any]:
    """What a measurement writes: where it was taken, the limits of that run (FLOP/s, bytes/s), the rows."""
    return {
        "name": name,
        "machine": dict(machine),
        "limits": dict(limits),
        "rows": [row.as_mapping() for row in rows],
    }


def show(title: str, figures: Mapping[str, Any]) -> None:
    """Print a result as a table, and under it the machine and its limits."""
    from rich.console import Console
    from rich.table import Table

    head, *lines = cells(figures["rows"])
    table = Table(title=title, title_justify="left")
    for name in head:
        table.add_column(name, justify="left" if name in ("case", "program", "note") else "right")
    for line in lines:
        table.add_row(*line)
    # A file or a pipe gets every column whole; a terminal has the width that it has.
    console = Console(highlight=False, width=None if sys.stdout.isatty() else 200)
    console.print(table)
    console.print(place(figures), soft_wrap=True)


def place(figures: Mapping[str, Any]) -> str:
    """The machine and its limits, as a sentence."""
    machine = figures["machine"]
    packages = {"torch": machine["torch"], **machine["packages"]}
    rates = [f"{name} {_rate(name, rate)}" for name, rate in figures["limits"].items()]
    return (
        f"{machine['cpu']} ({' '.join(machine['flags'])}), {machine['threads']} threads, load "
        f"{machine['load_average']} before; {', '.join(f'{k} {v}' for k, v in packages.items())}; commit "
        f"{machine['commit']}. Limits: {', '.join(rates) or 'none'}."
    )


def markdown(rows: Sequence[Mapping[str, Any]]) -> str:
    """The same table as Markdown."""
    head, *lines = cells(rows)
    return "\n".join(f"| {' | '.join(line)} |" for line in (head, ["---"] * len(head), *lines))


def _rate(name: str, rate: float) -> str:
    return f"{rate / 1e9:,.1f} {'GFLOP/s' if name.startswith('products') else 'GB/s'}"


def _line(row: Mapping[str, Any]) -> list[str]:
    seconds = row["seconds"] or {}
    return [
        row["case"],
        row["program"],
        _text(row["percent_of_limit"], "{:.1f}"),
        _text(row["figure"], "{:,.4g} " + row["unit"]),
        _duration(seconds.get("median")),
        f"{(seconds['q3'] - seconds['q1']) / seconds['median']:.1%}" if seconds else "",
        _text(seconds.get("rounds"), "{}"),
        _text(row["error"], "{:.1e}"),
        _text(row["peak_bytes"], "{:,.0f} MB", 1e-6),
        row["note"],
    ]


def _duration(seconds: float | None) -> str:
    return _text(seconds, "{:.1f} s") if seconds and seconds >= 10 else _text(seconds, "{:.4g} ms", 1e3)


def _text(value: float | None, form: str, scale: float = 1) -> str:
    return "" if value is None else form.format(value if scale == 1 else value * scale)
