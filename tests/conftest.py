"""What several test files need: a workspace of its own for each test, and the native kernels."""

import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

# The same examples on every run, and no failure because a machine is slow.
settings.register_profile("repeatable", derandomize=True, deadline=None)
settings.load_profile("repeatable")

ROOT = Path(__file__).parents[1]


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the project's `params.yaml`: the current directory, and the root that DVC names."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    for name in ("DVC_EXP_NAME", "DVC_STAGE", "MLFLOW_TRACKING_URI"):
        monkeypatch.delenv(name, raising=False)
    shutil.copy(ROOT / "params.yaml", tmp_path)
    return tmp_path


@pytest.fixture
def signals_of_a_terminal() -> Iterator[None]:
    """No signal is ignored, as those are that a shell leaves a job in the background or under `nohup`."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGHUP)}
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture(params=["avx512", "avx2", "portable"])
def native_version(request: pytest.FixtureRequest) -> Iterator[str]:
    """Each instruction set that the native kernels are compiled for and this processor runs."""
    from bhasa.ops import native  # brings torch, which many tests do without

    if native.choose(request.param) is None:
        pytest.skip(f"this processor does not run {request.param}")
    yield request.param
    native.choose("")
