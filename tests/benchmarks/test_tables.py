"""Every table runs at tiny sizes and says what it must; the speeds themselves are not tested."""

import importlib
import json
from pathlib import Path

import pytest

from benchmarks import families, loader, options, pdf, peers, tables, time_to_loss

PROGRAMS = {
    "scan": {"bhasa: reference", "bhasa: chunked", "mambapy", "torch loop"},
    "conv": {"bhasa: reference", "bhasa: chunked", "nn.Conv1d"},
    "training": {"bhasa", "transformer of equal products", "mambapy", "transformers"},
    "mixers": {"Mamba", "Mamba-2", "attention", "hybrid, 1 attention in 8", "transformers, Mamba-2"},
    "prefill": {"bhasa", "transformers"},
    "decoding": {"bhasa", "transformers"},
}


def check(figures: dict, programs: set[str]) -> None:
    assert programs <= {row["program"] for row in figures["rows"]}
    assert figures["limits"]
    for row in figures["rows"]:
        if row["seconds"] is None:
            assert row["note"]
            continue
        assert row["percent_of_limit"] is None or row["percent_of_limit"] > 0, (
            row
        )  # how much is no matter of a test: machines are shared
        assert row["seconds"]["rounds"] >= 1
        assert row["figure"] > 0


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # what peers warn about is theirs
@pytest.mark.parametrize("name", PROGRAMS)
def test_a_table_measures_all_programs_and_their_errors(name: str, tmp_path: Path) -> None:
    module = importlib.import_module(f"benchmarks.{name}")
    module.options.main(name, module.TITLE, module.measure, ["--quick", "--out", str(tmp_path)])
    figures = json.loads((tmp_path / f"{name}.json").read_text())
    check(figures, PROGRAMS[name])
    errors = [row["error"] for row in figures["rows"] if row["error"] is not None]
    assert errors
    assert max(errors) < 1e-5
    assert figures["title"] in tables.render(tmp_path)


def test_the_loader_is_measured_beside_a_loop_over_slices(tmp_path: Path) -> None:
    options.main("loader", loader.TITLE, loader.measure, ["--quick", "--out", str(tmp_path)])
    figures = json.loads((tmp_path / "loader.json").read_text())
    check(figures, {"bhasa", "a slice for each row"})
    assert figures["title"] in tables.render(tmp_path)


@pytest.mark.slow
def test_time_to_loss_trains_both_programs_in_their_own_processes(tmp_path: Path) -> None:
    text = tmp_path / "text.txt"
    text.write_text("to be, or not to be, that is the question: " * 200)
    arguments = ["--quick", "--seeds", "1", "--text", str(text), "--out", str(tmp_path)]
    time_to_loss.main(arguments)
    figures = json.loads((tmp_path / "time_to_loss_shakespeare.json").read_text())
    check(figures, {"bhasa", "transformer"})
    assert all("of 1 reached it" in row["note"] for row in figures["rows"])


@pytest.mark.slow
def test_families_are_trained_for_the_same_time(tmp_path: Path) -> None:
    text = tmp_path / "text.txt"
    text.write_text("to be, or not to be, that is the question: " * 200)
    families.main(["--quick", "--seeds", "1", "--text", str(text), "--out", str(tmp_path)])
    figures = json.loads((tmp_path / "families.json").read_text())
    check(figures, set(families.FAMILIES))
    assert {row["seconds"]["median"] for row in figures["rows"]} == {1.0}


@pytest.mark.slow
def test_a_missing_peer_is_named_with_its_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(peers, "has_mambapy", lambda: False)
    from benchmarks import options, scan

    _, rows = scan.measure(options.Options(quick=True, rounds=1, budget=1.0))
    missing = [row for row in rows if row.program == "mambapy"]
    assert missing
    assert all("pip install" in row.note and row.timing is None for row in missing)


def test_the_page_shows_the_results_that_are_kept() -> None:
    page = tables.PAGE.read_text()
    shown = page.split(tables.BEGIN)[1].split(tables.END)[0].strip()
    assert shown == tables.render(tables.RESULTS), "run `python -m benchmarks.tables`"


@pytest.mark.slow
def test_text_of_pdfs_is_held_against_what_was_planted(tmp_path: Path) -> None:
    pdf.main(["--quick", "--out", str(tmp_path)])
    rows = json.loads((tmp_path / "pdf.json").read_text())["rows"]
    assert {"pypdf, a loop", "pdfium, a loop", "bhasa, in this process", "bhasa, workers: 2"} <= {
        row["program"] for row in rows
    }
    assert {row["note"] for row in rows if row["program"].startswith("bhasa")} == {
        "100.00 % of words in order"
    }
