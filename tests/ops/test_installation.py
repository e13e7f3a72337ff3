"""The package as pip installs it: where there is no compiler, everything works in plain torch and says so."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.slow

TRY = """
import pathlib, torch
import bhasa.ops.native
from bhasa.inference.config import SamplingConfig
from bhasa.inference.generate import generate
from bhasa.model.config import ModelConfig
from bhasa.model.language_model import build
from bhasa.ops.operations import implementations
from bhasa.tools import doctor

print(pathlib.Path(bhasa.__file__).parents[1])
print(sorted(implementations(torch.device("cpu")).values()))
for values in ({}, {"ssm": "mamba2", "headdim": 8}, {"pattern": "*", "attention": {"num_heads": 2}}):
    model = build(ModelConfig.parse({"d_model": 16, "n_layer": 1, "vocab_size": 50} | values, ""), seed=0)
    ids = torch.arange(6)[None]
    model(ids, targets=ids).backward()
    model.token_losses(ids, ids)
    sampling = SamplingConfig(max_new_tokens=3, temperature=0.0)
    assert len(list(generate(model.eval(), [1, 2], sampling))) == 3
doctor.command()
"""


def install(folder, **environment):
    """Build a wheel of a copy of the sources and install it into `folder`; where it is."""
    sources = folder / "sources"
    left_out = shutil.ignore_patterns("*.so", "__pycache__", "*.egg-info")
    shutil.copytree(ROOT / "src", sources / "src", ignore=left_out)
    for name in ("setup.py", "pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, sources)
    target = folder / "installed"
    options = ["--no-deps", "--no-index", "--no-build-isolation", "--disable-pip-version-check"]
    done = subprocess.run(
        [sys.executable, "-m", "pip", "install", "-v", *options, "--target", str(target), str(sources)],
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr
    return target


def tried(target):
    done = subprocess.run(
        [sys.executable, "-c", TRY],
        env=os.environ | {"PYTHONPATH": str(target)},
        cwd=target,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    where, used, *_, advice = done.stdout.splitlines()
    assert where == str(target)
    return used, advice


def test_without_a_compiler_it_installs_and_works_in_torch(tmp_path):
    target = install(tmp_path, CC="/bin/false", CXX="/bin/false")
    used, advice = tried(target)
    assert used == str(["chunked"] * 5)
    assert advice.startswith("WARNING: training on the CPU will be many times slower")
    assert "not built: install g++ or clang" in advice


@pytest.mark.skipif(shutil.which("g++") is None, reason="needs g++")
def test_with_one_the_library_is_known_to_be_of_the_sources_beside_it(tmp_path):
    used, advice = tried(install(tmp_path))
    assert "chunked" not in used
    assert advice == "The native kernels are there."
