"""The table of ingest is made at a tiny size; benchmarks/README.md has the full one."""

import json
from pathlib import Path

from benchmarks import ingest, options, tables


def test_rate_and_memory_are_measured_for_every_size(tmp_path: Path) -> None:
    options.main("ingest", ingest.TITLE, ingest.measure, ["--quick", "--out", str(tmp_path)])
    figures = json.loads((tmp_path / "ingest.json").read_text())
    assert len(figures["rows"]) == len(ingest.QUICK_SIZES) + 1
    assert all(row["figure"] > 0 and "MB in all processes" in row["note"] for row in figures["rows"])
    assert figures["title"] in tables.render(tmp_path)
