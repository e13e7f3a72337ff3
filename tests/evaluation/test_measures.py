"""What holds for every measure; a new one joins by its line in `MEASURES` or `YARDSTICKS`."""

import csv
import json

import pytest
import torch

from bhasa.evaluation import measures
from bhasa.evaluation.figures import Figures, Text
from bhasa.evaluation.measures import MEASURES, YARDSTICKS, measure
from bhasa.evaluation.report import Report
from bhasa.inference.generate import generate
from bhasa.inference.text import document_ids

from .conftest import TEXTS


@pytest.mark.parametrize("name", MEASURES)
def test_a_measure_gives_figures_that_a_report_can_hold(name, subject):
    figures = MEASURES[name](subject(chats=True))
    assert figures.metrics or figures.rows or figures.texts
    assert len({tuple(row) for row in figures.rows}) <= 1  # the same columns in every row
    assert figures.axis is None or all(figures.axis in row for row in figures.rows)
    json.dumps([dict(figures.metrics), [dict(row) for row in figures.rows]], allow_nan=False)


@pytest.mark.parametrize("name", MEASURES)
def test_a_measure_repeats(name, subject):
    assert MEASURES[name](subject()) == MEASURES[name](subject())


def test_no_two_measures_give_a_figure_of_one_name(subject):
    names = [name for take in MEASURES.values() for name in take(subject()).metrics]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("name", YARDSTICKS)
def test_a_yardstick_speaks_of_the_texts_alone(name):
    assert YARDSTICKS[name](TEXTS).metrics
    assert YARDSTICKS[name](TEXTS) == YARDSTICKS[name](list(TEXTS))


def test_a_registered_measure_is_in_every_form_of_the_report(subject, monkeypatch, tmp_path):
    def letters(subject):
        rows = [{"document": i, "letters": len(text)} for i, text in enumerate(subject.texts)]
        return Figures({"letters": 9.0}, rows, "document", [Text("p", subject.name, "t")])

    monkeypatch.setitem(measures.MEASURES, "letters", letters)
    report = measure(TEXTS, [subject("base"), subject("finetuned")])
    report.save(tmp_path / "report.json")
    report.write_tables(tmp_path)
    assert json.loads((tmp_path / "report.json").read_text())["finetuned"]["letters"] == 9
    table = list(csv.DictReader((tmp_path / "letters.csv").read_text().splitlines()))
    assert table[-1] == {"model": "finetuned", "document": "2", "letters": str(len(TEXTS[2]))}
    assert (2, {"base.letters": len(TEXTS[2])}) in list(report.curves())
    assert Report.read(tmp_path / "report.json").texts == report.texts


def test_the_rows_of_likelihood_add_up_to_its_figures(subject):
    figures = MEASURES["likelihood"](subject())
    nats = sum(row["loss"] * row["tokens"] for row in figures.rows)
    assert [row["bytes"] for row in figures.rows] == [len(text.encode()) for text in TEXTS]
    assert figures.metrics["tokens"] == sum(row["tokens"] for row in figures.rows)
    assert figures.metrics["loss"] == pytest.approx(nats / figures.metrics["tokens"])


def test_samples_are_what_the_model_generates(subject):
    one = subject(chats=True)
    texts = MEASURES["samples"](one).texts
    assert [(text.prompt, text.writer) for text in texts] == [
        ("the cat", "base"),
        ("why?", "base"),
        ("the cat", "base, in a chat"),
        ("why?", "base, in a chat"),
    ]
    ids = generate(
        one.model, document_ids(one.tokenizer, "the cat"), one.config.sampling, stop_ids=frozenset(range(5))
    )
    written = one.tokenizer.decode(list(ids))
    assert texts[0].text == written.removesuffix("\ufffd")  # half a character at the end is left out


def test_losses_are_computed_once_for_all_measures(subject):
    read = []
    one = subject()
    hook = one.model.backbone.register_forward_pre_hook(
        lambda *_: read.append(torch.is_inference_mode_enabled())
    )
    MEASURES["likelihood"](one)
    once = len(read)
    MEASURES["loss_by_position"](one)
    hook.remove()
    assert once == len(read) > 0
