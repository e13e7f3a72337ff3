"""The table of near duplicates is made at a tiny size; benchmarks/README.md has the full one."""

import json
from pathlib import Path

from benchmarks import near_duplicates, options, tables
from benchmarks.corpora import EDITS


def test_copies_are_found_and_others_are_not_lost(tmp_path: Path) -> None:
    arguments = ["--quick", "--out", str(tmp_path)]
    options.main("near_duplicates", near_duplicates.TITLE, near_duplicates.measure, arguments)
    figures = json.loads((tmp_path / "near_duplicates.json").read_text())
    ours = {row["case"]: row["figure"] for row in figures["rows"] if row["program"] == "bhasa"}
    assert ours["signatures"] > 0
    found = [ours[f"found of copies, {edit}"] for edit in EDITS]
    assert sum(found) >= 95 * len(found)
    assert ours["lost of sources with one licence"] == ours["lost of form letters"] == 0
    assert figures["title"] in tables.render(tmp_path)
