from bhasa.ops import native
from bhasa.ops.backends import Twin
from bhasa.ops.chosen import OPERATIONS
from bhasa.tools import doctor


def test_it_names_what_each_operation_uses(capsys):
    doctor.command()
    out = capsys.readouterr().out
    for name in OPERATIONS:
        assert name in out
    assert f"native {native.choose('')}" in out
    assert "The native kernels are there." in out


def test_it_says_what_is_missing_and_what_to_do(capsys, monkeypatch):
    monkeypatch.setattr(native, "missing", lambda device, dtype: "not built")
    twins = OPERATIONS["rms_norm"]
    monkeypatch.setitem(twins, "native", Twin(twins["native"].compute, lambda device, dtype: "not built"))
    doctor.command()
    out = capsys.readouterr().out
    assert "native: not built" in out
    assert "pip install" in out
