"""The tests of the Triton kernels in Triton's interpreter, which takes a process of its own.

Triton decides when it is imported whether its kernels are interpreted, and in a process of many tests
somebody else has imported it before.
"""

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch


@pytest.mark.slow
@pytest.mark.skipif(find_spec("triton") is None, reason="triton is not installed")
@pytest.mark.skipif(torch.cuda.is_available(), reason="test_triton.py runs on the GPU")
def test_the_triton_kernels_in_the_interpreter():
    tests = Path(__file__).with_name("test_triton.py")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(tests)],
        env=os.environ | {"TRITON_INTERPRET": "1"},
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-4000:]
    assert " passed" in done.stdout
