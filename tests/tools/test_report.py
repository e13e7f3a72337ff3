import json

import pytest

from bhasa.errors import UserError
from bhasa.evaluation.figures import Figures, Text
from bhasa.evaluation.report import Report
from bhasa.journal import sha256_file, write_json
from bhasa.tools.report import BEGIN, END, command, render, speeds

BASE, OTHER = "ab" * 32, "ef" * 32


@pytest.fixture
def reports(tmp_path):
    """The reports of a run whose tuned model lies in `model`."""
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "model.safetensors").write_bytes(b"weights")
    tuned = sha256_file(tmp_path / "model" / "model.safetensors")
    folder = tmp_path / "reports"
    evaluation = Report(models={"base": BASE, "finetuned": tuned}, metrics={"documents": 3, "bytes": 99})
    for name in ("base", "finetuned"):
        figures = Figures({"perplexity": 2.5, "bits_per_byte": 1.25}, texts=[Text("so", name, "it goes")])
        evaluation.add(name, "likelihood", figures)
    evaluation.add("xz", "xz", Figures({"bits_per_byte": 1.875}))
    evaluation.save(folder / "evaluate.json")
    context = {"documents": 2, "tokens": 40, "opened_with": {"onnx": "a runtime"}, "purpose": {"onnx": "use"}}
    export = Report(models={"finetuned": tuned}, context=context)
    difference = {"mean_kl": 1e-5, "max_kl": 2e-5, "same_argmax": 0.995, "perplexity_increase": 0.125}
    export.add("onnx", "comparison", Figures({"bytes": 2_500_000, **difference}))
    export.save(folder / "export.json")
    machine = {"threads": 2, "instruction_set": "AVX2", "torch": "2"}
    speed = Report(models={"finetuned": tuned}, context={"device": "cpu", "machine": machine})
    decoding = {"tokens_per_second": 1234.5, "seconds_to_first_token": 0.01, "prompt_tokens": 8}
    speed.add("finetuned", "decoding", Figures(decoding | {"state_bytes": 2048}))
    speed.add("onnx", "stepping", Figures({"tokens_per_second": 77.0}))
    speed.save(folder / "speed.json")
    losses = {"initial_validation_loss": 8.0, "validation_loss": 3.0}
    write_json(folder / "ingest.json", {"documents": {"train": {"documents": 7}}})
    write_json(folder / "pretrain.json", {"model_sha256": BASE, "parameters": 1000, "steps": 5, **losses})
    write_json(folder / "finetune.json", {"model_sha256": tuned, "trained_parameters": 10, **losses})
    return folder


def change(path, key, value):
    values = json.loads(path.read_text())
    values[key] = value
    write_json(path, values)


def test_all_figures_of_one_model_are_shown(reports):
    page = render(reports, reports.parent / "model") + speeds(reports, reports.parent / "model")
    for shown in ("| base | 2.50 | 1.250 |", "trained a model of 1,000 parameters for 5 steps", "it goes"):
        assert shown in page
    assert "| `onnx` | use | a runtime | 2.5 MB | 1.0e-05 | 2.0e-05 | 99.50% | +0.125 % |" in page
    assert "| onnx | 77 |" in page
    assert "Left out" not in page


@pytest.mark.parametrize(
    ("name", "key", "gone"),
    [
        ("evaluate", "models", "| base |"),
        ("export", "models", "`onnx`"),
        ("speed", "models", "| onnx |"),
        ("pretrain", "model_sha256", "5 steps"),
        ("finetune", "model_sha256", "LoRA"),
    ],
)
def test_a_report_of_another_model_is_left_out_by_name(name, key, gone, reports):
    of_another = {"base": BASE, "finetuned": OTHER} if key == "models" else OTHER
    change(reports / f"{name}.json", key, of_another)
    page = render(reports, reports.parent / "model") + speeds(reports, reports.parent / "model")
    assert f"Left out: {reports / name}.json is of model" in page
    assert gone not in page


def test_without_the_model_the_reports_are_held_against_the_evaluation(reports, tmp_path):
    assert "Left out" not in render(reports, tmp_path / "nowhere")
    change(reports / "export.json", "models", {"finetuned": OTHER})
    assert "Left out" in render(reports, tmp_path / "nowhere")


def test_a_page_shows_no_speed_and_what_is_left_out_refuses_it(reports, tmp_path):
    page = tmp_path / "README.md"
    page.write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n")
    command(reports, tmp_path / "model", page)
    text = page.read_text()
    assert text.startswith("before\n")
    assert text.endswith("\nafter\n")
    assert "old" not in text
    assert "1,234" not in text  # another machine's reader would take it for his
    change(reports / "export.json", "models", {"finetuned": OTHER})
    with pytest.raises(UserError, match="of model efefefefefef"):
        command(reports, tmp_path / "model", page)
    assert page.read_text() == text


def test_a_clone_that_has_not_measured_says_so(reports):
    (reports / "speed.json").unlink()
    assert "No speeds: there is no" in speeds(reports, reports.parent / "model")
