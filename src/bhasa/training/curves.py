"""The journal of a run as curves: two CSV files that DVC plots and diffs, and a picture."""

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bhasa import journal

COLUMNS = ("step", "loss", "learning_rate", "grad_norm")


def write_curves(events: Sequence[Mapping[str, Any]], folder: Path) -> None:
    """Write train.csv, validation.csv and loss.png. Timings stay out: these files must repeat to the byte."""
    training = [event for event in events if "loss" in event]
    validation = [event for event in events if "validation_loss" in event]
    with journal.publish(folder) as draft:
        draft.mkdir()
        journal.write_text(draft / "train.csv", _csv(COLUMNS, training))
        journal.write_text(draft / "validation.csv", _csv(("step", "validation_loss"), validation))
        _draw(training, validation, draft / "loss.png")


def _csv(columns: Sequence[str], events: Sequence[Mapping[str, Any]]) -> str:
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows([event[column] for column in columns] for event in events)
    return stream.getvalue()


def _draw(training: Sequence[Mapping[str, Any]], validation: Sequence[Mapping[str, Any]], path: Path) -> None:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    axes.plot([e["step"] for e in training], [e["loss"] for e in training], lw=0.8, label="training")
    points = [(e["step"], e["validation_loss"]) for e in validation]
    axes.plot(*zip(*points, strict=True), "o-", label="validation")
    axes.set(xlabel="step", ylabel="cross-entropy, nats per token")
    axes.grid(alpha=0.3)
    axes.legend()
    figure.savefig(path, dpi=100, metadata={"Software": None})
