import sys

import pytest
import torch

from bhasa.measure.memory import peak_bytes

SIZE = 200_000_000


def allocation():
    return lambda: torch.ones(SIZE // 4).sum()


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel tells the peak on Linux alone")
def test_the_peak_is_what_the_job_adds():
    assert peak_bytes(allocation) == pytest.approx(SIZE, rel=0.1)
