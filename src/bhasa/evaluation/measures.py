"""The measures that `evaluate` takes, and all of them taken.

A new measure is a function from a `Subject` to `Figures`, and a line in `MEASURES`; a yardstick that needs no
model is a function of the texts, and a line in `YARDSTICKS`.
"""

from collections.abc import Callable, Iterable, Sequence

from bhasa.evaluation.compression import xz
from bhasa.evaluation.figures import Figures
from bhasa.evaluation.likelihood import likelihood, loss_by_position
from bhasa.evaluation.report import Report
from bhasa.evaluation.samples import samples
from bhasa.evaluation.subject import Subject

MEASURES: dict[str, Callable[[Subject], Figures]] = {
    "likelihood": likelihood,
    "loss_by_position": loss_by_position,
    "samples": samples,
}
YARDSTICKS: dict[str, Callable[[Sequence[str]], Figures]] = {"xz": xz}


def measure(texts: Sequence[str], subjects: Iterable[Subject]) -> Report:
    """Take every measure of the texts and of each subject, one after the other as they come."""
    report = Report(metrics={"documents": len(texts), "bytes": sum(len(text.encode()) for text in texts)})
    for name, yardstick in YARDSTICKS.items():
        report.add(name, name, yardstick(texts))
    for subject in subjects:
        report.models[subject.name] = subject.sha256
        for name, take in MEASURES.items():
            report.add(subject.name, name, take(subject))
    return report
