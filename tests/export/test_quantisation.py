import numpy as np
import onnxruntime
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from bhasa.export.decode_graph import build_decode_graph, input_names, output_names
from bhasa.export.graph import Graph
from bhasa.export.quantisation import KEPT_FLOAT, ZERO, Int8Graph, quantise_rows, weight_errors
from bhasa.model.config import ModelConfig
from bhasa.model.language_model import build

FLOATS = st.floats(-1e4, 1e4, width=32, allow_subnormal=False)
MATRICES = {
    "mamba": {"in_proj", "out_proj"},
    "mamba2": {"in_proj", "out_proj"},
    "attention": {"q_proj", "k_proj", "v_proj", "o_proj"},
    "mlp": {"fc1", "fc2"},
}


@given(arrays(np.float32, st.tuples(st.integers(1, 8), st.integers(1, 8)), elements=FLOATS))
def test_no_weight_moves_by_more_than_half_a_step_of_its_row(weight: np.ndarray) -> None:
    quantised, scale = quantise_rows(weight)
    restored = (quantised.astype(np.float64) - ZERO) * scale[:, None]
    assert np.all(np.abs(restored - weight) <= 0.501 * scale[:, None])
    assert quantised.min() >= 1


def test_only_small_matrices_and_vectors_stay_float(config: ModelConfig) -> None:
    model = build(config, seed=0)
    stored = {tensor.name: tensor for tensor in build_decode_graph(Int8Graph(model)).graph.initializer}
    for tensor, values in model.named_parameters():
        if values.dim() == 2 and tensor.endswith(".weight"):
            assert (tensor in stored) == (tensor.split(".")[-2] in KEPT_FLOAT), tensor


def test_the_file_is_a_fraction_of_the_float_one(config: ModelConfig) -> None:
    model = build(config, seed=0)
    sizes = [build_decode_graph(graph(model)).ByteSize() for graph in (Graph, Int8Graph)]
    assert sizes[1] < 0.6 * sizes[0]


def test_a_prediction_does_not_depend_on_what_shares_its_batch(config: ModelConfig) -> None:
    model = build(config, seed=0).eval()
    session = onnxruntime.InferenceSession(build_decode_graph(Int8Graph(model)).SerializeToString())

    def logits(*tokens: int) -> np.ndarray:
        states = [part.numpy() for layer in model.initial_state(len(tokens)) for part in layer]
        feed = dict(zip(input_names(config), [np.array(tokens), *states], strict=True))
        first: np.ndarray = session.run(output_names(config)[:1], feed)[0][0]
        return first

    np.testing.assert_allclose(logits(7), logits(7, 200, 31), rtol=1e-5, atol=1e-5)


def test_errors_are_small_and_named_by_kind_of_matrix(config: ModelConfig) -> None:
    errors = weight_errors(build(config, seed=0))
    kinds = {"embeddings"}.union(*(MATRICES[mixer] for mixer in config.layers))
    kinds |= MATRICES["mlp"] if config.mlp_after_mixer else set()
    kinds |= set() if config.tie_embeddings else {"lm_head"}
    assert set(errors) == kinds
    assert all(0 < error < 0.02 for error in errors.values())


def test_a_row_of_zeros_stays_zero() -> None:
    quantised, scale = quantise_rows(np.array([[0, 0], [1, -2]], np.float32))
    assert quantised.tolist() == [[ZERO, ZERO], [ZERO + 64, ZERO - 127]]
    assert np.all(scale > 0)
