"""All results as Markdown: `python -m benchmarks.tables` puts them into README.md beside this file."""

from pathlib import Path

from benchmarks.options import RESULTS
from bhasa.journal import read_json
from bhasa.measure.table import markdown, place
from bhasa.tools.report import replace_section

PAGE = Path(__file__).with_name("README.md")
BEGIN, END = "<!-- tables: made by `python -m benchmarks.tables` -->", "<!-- end of tables -->"
ORDER = (
    *("scan", "conv", "training", "mixers", "prefill", "decoding"),
    *("ingest", "loader", "data_path"),
    *("time_to_loss_shakespeare", "time_to_loss_shakespeare-best", "families"),
    *("encodings", "near_duplicates", "pdf", "damaged_pdfs"),
)


def render(results: Path) -> str:
    """A section a table, of those that were measured."""
    paths = [results / f"{name}.json" for name in ORDER]
    return "\n\n".join(_section(path) for path in paths if path.exists()) or "Nothing is measured yet."


def _section(path: Path) -> str:
    figures = read_json(path)
    return f"### {figures['title']}\n\n{markdown(figures['rows'])}\n\n{place(figures)}"


if __name__ == "__main__":
    replace_section(PAGE, BEGIN, END, render(RESULTS))
