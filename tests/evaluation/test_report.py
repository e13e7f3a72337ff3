import json

import pytest

from bhasa.errors import UserError
from bhasa.evaluation.figures import Figures, Text
from bhasa.evaluation.report import Report


@pytest.fixture
def report():
    report = Report(models={"base": "ab" * 32}, metrics={"documents": 3}, context={"device": "cpu"})
    report.add("base", "likelihood", Figures({"perplexity": 12.34567891, "tokens": 7}))
    report.add("xz", "xz", Figures({"bits_per_byte": 1.5}))
    report.add("base", "samples", Figures(texts=[Text("p", "base", "t")]))
    return report


def test_what_is_saved_is_read_back(report, tmp_path):
    report.save(tmp_path / "report.json")
    assert Report.read(tmp_path / "report.json") == report


def test_json_is_nested_by_model_as_dvc_shows_it(report, tmp_path):
    report.save(tmp_path / "report.json")
    assert json.loads((tmp_path / "report.json").read_text()) == {
        "models": {"base": "ab" * 32},
        "documents": 3,
        "base": {"perplexity": 12.345679, "tokens": 7},
        "xz": {"bits_per_byte": 1.5},
        "context": {"device": "cpu"},
        "texts": [{"prompt": "p", "writer": "base", "text": "t"}],
    }


def test_curves_name_the_model_and_leave_its_axis_out():
    report = Report()
    for name in ("base", "finetuned"):
        report.add(name, "loss", Figures(rows=[{"up_to": 32, "loss": 1.5}], axis="up_to"))
    assert list(report.curves()) == [(32, {"base.loss": 1.5}), (32, {"finetuned.loss": 1.5})]


@pytest.mark.parametrize(
    "content",
    ['{"base": {}}', '{"models": 3}', '{"models": {}, "base": "x"}', '{"models": {}, "texts": [1]}'],
)
def test_what_is_no_report_is_refused_by_name(content, tmp_path):
    (tmp_path / "report.json").write_text(content)
    with pytest.raises(UserError, match=r"report\.json: not a report of measures"):
        Report.read(tmp_path / "report.json")
