import shutil
from pathlib import Path

import pytest

from bhasa.errors import UserError
from bhasa.experiment import Experiment
from bhasa.ops import native
from bhasa.ops.backends import Implementation
from bhasa.ops.operations import OPERATIONS
from bhasa.tools import check, doctor

ROOT = Path(__file__).parents[2]


def test_it_names_what_each_operation_uses(capsys):
    doctor.command()
    out = capsys.readouterr().out
    for name in OPERATIONS:
        assert name in out
    assert f"native {native.current()}" in out
    assert "The native kernels are there." in out


@pytest.fixture
def without_kernels(monkeypatch):
    monkeypatch.setattr(native, "missing", lambda device, dtype: "not built: do this")
    for backends in OPERATIONS.values():
        not_built = Implementation(backends["native"].compute, native.missing)
        monkeypatch.setitem(backends, "native", not_built)


def test_it_says_what_is_missing_and_what_to_do(capsys, without_kernels):
    doctor.command()
    out = capsys.readouterr().out
    assert "native: not built" in out
    last = out.splitlines()[-1]  # all that `make setup` shows
    assert last.startswith("WARNING: training on the CPU will be many times slower")
    assert last.endswith("missing: not built: do this")


def test_check_warns_too(capsys, without_kernels):
    check.command(ROOT / "params.yaml", ROOT / "pipeline")
    assert capsys.readouterr().err.startswith("WARNING: training on the CPU will be many times slower")


@pytest.mark.parametrize(
    ("model", "backend", "message"),
    [
        ("d_state: 300", "native", r"'native' \(selective_scan: holds a d_state of at most 256, not 300\)"),
        ("ssm: mamba2", "triton", r"'triton' \(ssd: has no such implementation\)"),
        ("d_state: 16", "triton", r"'triton' \(causal_conv: .*\); allowed on cpu: auto, "),
    ],
)
def test_check_finds_a_backend_that_the_model_or_the_machine_does_not_have(tmp_path, model, backend, message):
    shutil.copytree(ROOT / "pipeline", tmp_path / "pipeline")
    shutil.copy(ROOT / "params.yaml", tmp_path)
    size = Experiment.load(tmp_path / "params.yaml").model.size
    for preset, line in ((f"model/{size}.yaml", model), ("hardware/cpu.yaml", f"backend: {backend}")):
        path, key = tmp_path / "pipeline" / preset, line.split(":")[0]
        others = [kept for kept in path.read_text().splitlines() if not kept.startswith(f"{key}:")]
        path.write_text("\n".join([*others, line]) + "\n")
    with pytest.raises(UserError, match=message):
        check.command(tmp_path / "params.yaml", tmp_path / "pipeline")
