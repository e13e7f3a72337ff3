from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from bhasa.tools import inspect


def shown(*arguments: object) -> str:
    app = typer.Typer()
    app.command()(inspect.command)
    variables = {"COLUMNS": "200"}
    return CliRunner().invoke(app, [*map(str, arguments)], catch_exceptions=False, env=variables).output


@pytest.fixture
def raw(workspace: Path) -> Path:
    raw = workspace / "raw"
    (raw / "deep").mkdir(parents=True)
    for n in range(4):
        (raw / f"{n}.md").write_text(
            f"# Note {n}\n\nThe {n}th of a few notes, each with its own words: {n**9} and a few more, "
            f"such as {n**10}, so that it is long enough.\n"
        )
    (raw / "copy.md").write_text((raw / "1.md").read_text())
    (raw / "deep" / "\u202eodd.bin").write_bytes(b"x")
    (raw / "config.json").write_text('{"a": "key of a program that is no model, and some more of it"}')
    return raw


def test_files_are_shown_before_they_are_ingested(raw: Path) -> None:
    text = shown(raw)
    for expected in ("duplicate: equal text", "unsupported format .bin"):
        assert expected in text
    assert "text/markdown" in text
    assert "utf-8" in text
    assert "same as raw/1.md" in text
    assert "deep/\\u202eodd.bin" in text
    assert "\u202e" not in text
    assert sorted(path.name for path in raw.parent.iterdir()) == ["params.yaml", "raw"]


def test_a_file_alone_is_shown(raw: Path) -> None:
    assert "The 2th of a few notes" in shown(raw / "2.md")


def test_params_say_what_is_read_of_it(raw: Path) -> None:
    sources = '{"sources": [{"kind": "folder", "path": "raw", "exclude": ["*.md"]}], "near_duplicates": null}'
    Path("params.yaml").write_text(f'{{"ingest": {sources}}}')
    assert "skipped: excluded by a pattern" in shown("raw")
