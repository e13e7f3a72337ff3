"""The measures `likelihood` and `loss_by_position`: how well a model predicts the texts."""

from collections.abc import Sequence
from dataclasses import asdict

from bhasa.evaluation import perplexity
from bhasa.evaluation.figures import Figures
from bhasa.evaluation.perplexity import score
from bhasa.evaluation.subject import Subject


def likelihood(subject: Subject) -> Figures:
    """Perplexity and bits per byte of all texts, and a row for each text."""
    sizes = _sizes(subject.texts)
    total = score(subject.losses, sum(sizes))
    rows = [
        {"document": number, "bytes": size} | asdict(score([losses], size))
        for number, (losses, size) in enumerate(zip(subject.losses, sizes, strict=True))
        if len(losses)
    ]
    return Figures({"perplexity": total.perplexity} | asdict(total), rows)


def loss_by_position(subject: Subject) -> Figures:
    """Mean loss by how much of its document a token follows."""
    curve = perplexity.loss_by_position(subject.losses)
    return Figures(
        rows=[{"up_to": position, "loss_by_position": loss} for position, loss in curve], axis="up_to"
    )


def _sizes(texts: Sequence[str]) -> list[int]:
    """UTF-8 bytes of each."""
    return [len(text.encode()) for text in texts]
