"""Which library of kernels is loaded, and which is refused: in child processes, with real libraries."""

import ctypes
import os
import runpy
import shutil
import subprocess
import sys
from pathlib import Path
from sysconfig import get_config_var

import pytest

import bhasa
from bhasa.ops.native import library

BUILT = Path(library.__file__).with_name(f"_kernels{get_config_var('EXT_SUFFIX')}")
OF_ANOTHER_PYTHON = "_kernels.cpython-310-x86_64-linux-gnu.so"  # comes first in the alphabet

COMPUTE = """
import torch
from bhasa.model.config import ModelConfig
from bhasa.model.language_model import build
from bhasa.ops import native

print(native.missing(torch.device("cpu"), torch.float32), native.current(), sep="; ")
config = ModelConfig(d_model=32, n_layer=2, pattern="M-", d_intermediate=16, vocab_size=50)
ids = torch.arange(40)[None]
found, expected = (float(build(config, seed=0, backend=b)(ids, targets=ids)) for b in ("auto", "reference"))
assert abs(found - expected) < 1e-5 * expected, (found, expected)
"""


DECODE = """
import torch
from bhasa.inference.native import NativeStepper
from bhasa.model.config import ModelConfig
from bhasa.model.language_model import build

model = build(ModelConfig(d_model=32, n_layer=2, vocab_size=50), seed=0).requires_grad_(False)
stepper = NativeStepper(model)
for token in range(5):
    logits = stepper.step(token, stepper.state)
expected = model(torch.arange(5)[None])[0][0, -1]
torch.testing.assert_close(logits, expected, rtol=1e-4, atol=1e-5)
"""


@pytest.fixture
def package(tmp_path):
    """A copy of the package: its folder of native code, which has no library yet."""
    shutil.copytree(
        Path(bhasa.__file__).parent,
        tmp_path / "src/bhasa",
        ignore=shutil.ignore_patterns("*.so", "__pycache__"),
    )
    return tmp_path / "src/bhasa/ops/native"


def child(source, package):
    environment = os.environ | {"PYTHONPATH": str(package.parents[2])}
    done = subprocess.run(
        [sys.executable, "-c", source],
        env=environment,
        cwd=package,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, (done.returncode, done.stderr)
    return done.stdout


def digest_of(package):
    return runpy.run_path(str(package / "sources.py"))["digest"]()


def compile_into(package, destination, *flags):
    """What `setup.py` compiles for any processor, quickly."""
    digest = digest_of(package)
    subprocess.run(
        [
            *("g++", "-std=c++17", "-O1", "-fPIC", "-shared", "-Wall", "-Wextra", "-Werror", *flags),
            *("-DBHASA_ISA=portable", f'-DBHASA_SOURCES="{digest}"'),
            *("library.cpp", "kernels.cpp", "-o", str(destination)),
        ],
        cwd=package,
        check=True,
    )


needs_the_library = pytest.mark.skipif(not BUILT.exists(), reason="the kernels are not built")
needs_a_compiler = pytest.mark.skipif(shutil.which("g++") is None, reason="needs g++")


@needs_the_library
def test_the_library_is_that_of_this_python(package):
    shutil.copy(BUILT, package)
    (package / OF_ANOTHER_PYTHON).write_bytes(b"of another Python")
    assert child(COMPUTE, package).startswith("None; ")


@needs_the_library
def test_a_library_of_other_sources_is_not_called(package):
    shutil.copy(BUILT, package)
    with (package / "arguments.h").open("a") as source:
        source.write("// changed\n")
    assert child(COMPUTE, package) == "built from other sources: run `make setup`; None\n"


def test_every_source_counts_and_nothing_else_does(package):
    before = digest_of(package)
    for path in [*package.glob("*.h"), *package.glob("*.cpp")]:
        text = path.read_bytes()
        path.write_bytes(text + b" ")
        assert digest_of(package) != before, path.name
        path.write_bytes(text)
    (package / ".#scan.h").symlink_to("an editor's lock that leads nowhere")
    (package / "scan.h~").write_text("an editor's backup")
    assert digest_of(package) == before


@needs_a_compiler
@pytest.mark.slow
def test_structures_that_have_changed_since_the_build_are_never_passed(package):
    """Without the comparison this ends in a segmentation fault."""
    header = package / "arguments.h"
    current = header.read_text()
    header.write_text(
        current.replace("struct ScanArguments {", "struct ScanArguments {\n  float* new_field;")
    )
    compile_into(package, package / BUILT.name, "-fopenmp")
    header.write_text(current)
    assert child(COMPUTE, package) == "built from other sources: run `make setup`; None\n"


def test_a_library_from_before_sources_were_compared_names_none():
    assert library._sources_of(ctypes.CDLL(None)) is None  # what this process exports: nothing of ours


@needs_a_compiler
@pytest.mark.slow
def test_without_openmp_the_kernels_compile_and_compute(package, tmp_path):
    """As on a Mac, whose compiler has neither `-fopenmp` nor `omp.h`; warnings are errors."""
    headers = tmp_path / "without"
    headers.mkdir()
    (headers / "omp.h").write_text("#error there is no omp.h\n")
    compile_into(package, package / BUILT.name, "-Wno-unknown-pragmas", f"-I{headers}")
    assert child(COMPUTE, package) == "None; portable\n"
    child(DECODE, package)
