"""`data.html`: the account of a corpus as one page without scripts, links or anything to load.

It is a pure function of the report and of what was seen, so equal corpora are equal bytes. Nothing in it
comes from a file unescaped, and characters that turn or hide text are spelt out. Tables and samples are
bounded, and so the page is: some hundred kilobytes, whatever the corpus.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any

from bhasa.documents.charts import columns, stacked
from bhasa.documents.look import Look, Sample, visible
from bhasa.documents.page_style import STYLE

MOST_ROWS = 25
NAME_CHARACTERS = 160
INPUT = "in"
POLICY = "default-src 'none'; style-src 'unsafe-inline'"


def render(report: Mapping[str, Any], look: Look) -> str:
    """`report` is that of `ingest.json`."""
    sections = (
        _files(report),
        _texts(report),
        _table("Cleaning", ("step", "times"), [(row["step"], row["count"]) for row in report["cleaning"]]),
        _domains(report),
        _splits(report, look),
        _contamination(report.get("contamination", {})),
        _counts("Formats of the documents", look.media_types),
        _counts("Languages", look.languages),
        _counts("Encodings", look.encodings),
        _table("Most often repeated", ("", "times"), look.duplicated),
        _samples("Samples of what was kept", look.kept),
        *_dropped(look),
    )
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>The corpus</title>\n<style>{STYLE}</style>\n</head>\n<body>\n<h1>The corpus</h1>\n"
        f"{''.join(sections)}</body>\n</html>\n"
    )


def safe(text: str, most: int = NAME_CHARACTERS) -> str:
    """For the page: cut, hidden characters spelt out, escaped, and with a direction of its own."""
    cut = text if len(text) <= most else text[:most] + " ..."
    return f"<bdi>{escape(visible(cut))}</bdi>"


def _files(report: Mapping[str, Any]) -> str:
    files, sizes = report["files"], report["bytes"]
    outcomes = [name for name in files if name != INPUT]
    rows = [
        (_key(place, name), files[name], sizes[name], _share(sizes[name], sizes[INPUT]))
        for place, name in enumerate(outcomes)
    ]
    rows.append(("all", files[INPUT], sizes[INPUT], ""))
    reasons = sorted(report["reasons"], key=lambda row: (-row["bytes"], row["reason"]))
    return (
        "<h2>Files</h2>"
        + stacked({name: sizes[name] for name in outcomes})
        + _rows(("", "files", "bytes", "share"), rows)
        + _why(reasons, "files")
    )


def _texts(report: Mapping[str, Any]) -> str:
    """What readers found in the files."""
    text = dict(report["text"])
    found = text.pop("found")
    rows = [(_key(place, name), size, _share(size, found)) for place, (name, size) in enumerate(text.items())]
    rows.append(("all", found, ""))
    reasons = sorted(report["text_reasons"], key=lambda row: (-row["bytes"], row["reason"]))
    return (
        "<h2>Texts in them</h2>"
        + stacked(text)
        + _rows(("", "bytes", "share"), rows)
        + _why(reasons, "texts")
    )


def _why(reasons: Sequence[Mapping[str, Any]], unit: str) -> str:
    rows = [(safe(row["outcome"]), safe(row["reason"]), row[unit], row["bytes"]) for row in reasons]
    return "<h3>Why the rest was not kept</h3>" + _rows(("", "", unit, "bytes"), rows) if rows else ""


def _domains(report: Mapping[str, Any]) -> str:
    rows = [
        (
            safe(row["domain"]),
            safe(row["kind"]),
            row["files"][INPUT],
            row["bytes"][INPUT],
            row["text"]["kept"],
        )
        for row in report["domains"]
    ]
    return "<h2>Sources</h2>" + _rows(("", "kind", "files", "bytes", "bytes of text kept"), rows)


def _splits(report: Mapping[str, Any], look: Look) -> str:
    rows = [
        (split, sizes["documents"], sizes["bytes"], report["chat"][split]["conversations"])
        for split, sizes in report["documents"].items()
    ]
    lengths: Counter[int] = sum(look.lengths.values(), Counter())
    bins = range(min(lengths, default=0), max(lengths, default=-1) + 1)
    chart = columns({_bytes(1 << max(bits - 1, 0)): lengths[bits] for bits in bins})
    return (
        "<h2>Splits</h2>"
        + _rows(("", "documents", "bytes", "conversations"), rows)
        + "<h3>Documents by length, from so many bytes on</h3>"
        + chart
    )


def _contamination(measured: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> str:
    """How much of the held-out splits stands in train."""
    rows = [
        (safe(split), safe(when), figures["documents"], f"{100 * figures['seen']:.2f} %")
        for when, splits in measured.items()
        for split, figures in splits.items()
    ]
    head = ("", "near duplicates left out", "documents measured", "of their text in train")
    return "<h2>Held-out text that is in train</h2>" + _rows(head, sorted(rows)) if rows else ""


def _counts(title: str, counts: Counter[str]) -> str:
    return _table(title, ("", "documents"), sorted(counts.items(), key=lambda pair: (-pair[1], pair[0])))


def _table(title: str, head: Sequence[str], rows: Sequence[tuple[str, int]]) -> str:
    if not rows:
        return ""
    return f"<h2>{escape(title)}</h2>" + _rows(head, [(safe(name), count) for name, count in rows])


def _dropped(look: Look) -> Iterable[str]:
    for (outcome, reason), samples in sorted(look.dropped.items()):
        yield _samples(f"Samples of what is {outcome}: {reason}", samples)


def _samples(title: str, samples: Iterable[Sample]) -> str:
    shown = [_sample(sample) for sample in samples]
    return f"<h2>{safe(title)}</h2>" + "".join(shown) if shown else ""


def _sample(sample: Sample) -> str:
    about = ", ".join([*sample.about, f"{sample.bytes:,} bytes"])
    text = f"<pre>{safe(sample.text, len(sample.text))}</pre>" if sample.text else ""
    return f'<p>{safe(sample.source)} <span class="soft">{safe(about, 2 * NAME_CHARACTERS)}</span></p>{text}'


def _rows(head: Sequence[str], rows: Sequence[tuple[str | int, ...]]) -> str:
    """Of markup and numbers."""
    numbers = [any(isinstance(row[place], int) for row in rows) for place in range(len(head))]
    kinds = [' class="n"' if number else "" for number in numbers]
    lines = ["".join(f"<th{kind}>{escape(name)}</th>" for name, kind in zip(head, kinds, strict=True))]
    for row in rows[:MOST_ROWS]:
        cells = (f"{cell:,}" if isinstance(cell, int) else cell for cell in row)
        lines.append("".join(f"<td{kind}>{cell}</td>" for cell, kind in zip(cells, kinds, strict=True)))
    more = f'<p class="soft">{len(rows) - MOST_ROWS:,} more</p>' if len(rows) > MOST_ROWS else ""
    body = "".join(f"<tr>{line}</tr>\n" for line in lines)
    return f'<div class="wide"><table>\n{body}</table></div>{more}\n'


def _key(place: int, name: str) -> str:
    return f'<span class="key kind-{place}"></span>{escape(name)}'


def _share(part: int, whole: int) -> str:
    return f"{100 * part / max(whole, 1):.1f} %"


def _bytes(count: int) -> str:
    for unit in ("", "k", "M"):
        if count < 1024:
            return f"{count}{unit}"
        count //= 1024
    return f"{count}G"
