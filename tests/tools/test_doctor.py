from bhasa.ops import native
from bhasa.ops.backends import Implementation
from bhasa.ops.operations import OPERATIONS
from bhasa.tools import doctor


def test_it_names_what_each_operation_uses(capsys):
    doctor.command()
    out = capsys.readouterr().out
    for name in OPERATIONS:
        assert name in out
    assert f"native {native.current()}" in out
    assert "The native kernels are there." in out


def test_it_says_what_is_missing_and_what_to_do(capsys, monkeypatch):
    monkeypatch.setattr(native, "missing", lambda device, dtype: "not built")
    backends = OPERATIONS["rms_norm"]
    monkeypatch.setitem(
        backends,
        "native",
        Implementation(backends["native"].compute, lambda device, dtype: "not built"),
    )
    doctor.command()
    out = capsys.readouterr().out
    assert "native: not built" in out
    assert "pip install" in out
