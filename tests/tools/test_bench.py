"""What `bhasa bench` reports; how fast this machine is, is not tested."""

import json
from pathlib import Path

import pytest

from bhasa.tools import bench

DEBUG = Path(__file__).parents[2] / "pipeline" / "model" / "debug.yaml"
CASES = (
    "scan, forward",
    "scan, forward + backward",
    "convolution, forward + backward",
    "training step, 2 x 16",
    "reading 32 tokens",
    "writing, one text",
)


@pytest.fixture(scope="module")
def figures(tmp_path_factory):
    path = tmp_path_factory.mktemp("bench") / "bench.json"
    bench.command(model=DEBUG, vocab_size=64, json=path, quick=True)
    return json.loads(path.read_text())


def test_every_part_of_the_program_is_measured(figures):
    assert tuple(row["case"] for row in figures["rows"]) == CASES


def test_figures_are_shares_of_limits_of_the_same_run(figures):
    assert all(rate > 0 for rate in figures["limits"].values())
    for row in figures["rows"]:
        assert row["percent_of_limit"] > 0, row  # how much is no matter of a test: machines are shared
        assert row["seconds"]["q1"] <= row["seconds"]["median"] <= row["seconds"]["q3"]
        assert row["figure"] > 0


def test_the_machine_is_described(figures):
    machine = figures["machine"]
    assert machine["threads"] >= 1
    assert {"cpu", "flags", "torch", "commit", "backends", "load_average"} <= machine.keys()


def test_the_table_is_shown(capsys):
    bench.command(model=DEBUG, vocab_size=64, quick=True)
    shown = capsys.readouterr().out
    assert "% of limit" in shown
    assert "Limits: products of 1024 cubed" in shown
