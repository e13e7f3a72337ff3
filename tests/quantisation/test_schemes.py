"""What holds for every number format; a new one joins by its line in `SCHEMES`."""

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from bhasa.quantisation import SCHEMES, Int8, error

FLOATS = st.floats(-1e4, 1e4, width=32, allow_subnormal=False)
MATRICES = arrays(np.float32, st.tuples(st.integers(1, 8), st.integers(1, 8)), elements=FLOATS)
NORMAL = np.random.default_rng(0).standard_normal((64, 96)).astype(np.float32)


@pytest.mark.parametrize("name", SCHEMES)
@given(weight=MATRICES)
def test_what_is_packed_is_unpacked_close_to_what_it_was(name, weight):
    unpacked = SCHEMES[name].unpack(SCHEMES[name].pack(weight))
    assert unpacked.shape == weight.shape
    assert unpacked.dtype == np.float32
    largest = np.abs(weight).max(axis=1, keepdims=True)
    assert np.all(np.abs(unpacked - weight) <= largest / 14 + 1e-30)  # half a step of 4 bits, the coarsest


@pytest.mark.parametrize("name", SCHEMES)
@given(weight=MATRICES)
def test_packing_repeats_to_the_bit(name, weight):
    first, second = (SCHEMES[name].pack(weight) for _ in range(2))
    assert {key: part.tobytes() for key, part in first.items()} == {
        key: part.tobytes() for key, part in second.items()
    }


@pytest.mark.parametrize("name", SCHEMES)
def test_a_row_does_not_depend_on_the_others(name):
    alone = SCHEMES[name].unpack(SCHEMES[name].pack(NORMAL[5:6]))
    np.testing.assert_array_equal(SCHEMES[name].unpack(SCHEMES[name].pack(NORMAL))[5:6], alone)


@pytest.mark.parametrize("name", SCHEMES)
def test_what_is_stored_takes_less_room(name):
    assert sum(part.nbytes for part in SCHEMES[name].pack(NORMAL).values()) < 0.6 * NORMAL.nbytes


@pytest.mark.parametrize("name", SCHEMES)
def test_the_error_is_that_of_the_unpacked_matrix(name):
    change, weight = error(SCHEMES[name], NORMAL)
    unpacked = SCHEMES[name].unpack(SCHEMES[name].pack(NORMAL))
    assert change == pytest.approx(np.square(unpacked.astype(np.float64) - NORMAL).sum())
    assert weight == pytest.approx(np.square(NORMAL.astype(np.float64)).sum())
    assert error(SCHEMES[name], np.zeros((2, 3), np.float32)) == (0, 0)


@given(weight=MATRICES)
def test_int8_moves_no_weight_by_more_than_half_a_step_of_its_row(weight):
    parts = Int8().pack(weight)
    step = parts["scale"].astype(np.float64)
    assert np.all(np.abs(Int8().unpack(parts).astype(np.float64) - weight) <= 0.501 * step)
    assert parts["values"].min() >= -127


def test_a_number_format_needs_neither_torch_nor_a_container():
    probe = (
        "import sys, bhasa.quantisation; print(sorted({'torch', 'onnx', 'safetensors'} & sys.modules.keys()))"
    )
    done = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
