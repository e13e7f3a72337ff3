from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import torch

from bhasa.export.decode_graph import build_decode_graph, input_names, output_names
from bhasa.export.graph import Graph
from bhasa.export.packed_graph import INT8, KEPT_FLOAT, Int8Graph, weight_errors
from bhasa.model.config import ModelConfig
from bhasa.model.language_model import build

MATRICES = {
    "mamba": {"in_proj", "out_proj"},
    "mamba2": {"in_proj", "out_proj"},
    "attention": {"q_proj", "k_proj", "v_proj", "o_proj"},
    "mlp": {"fc1", "fc2"},
}


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


def test_logits_are_those_of_the_model_with_unpacked_weights(config: ModelConfig) -> None:
    model = build(config, seed=0).eval()
    session = onnxruntime.InferenceSession(build_decode_graph(Int8Graph(model)).SerializeToString())
    for name, tensor in model.named_parameters():
        if tensor.dim() == 2 and name.endswith(".weight") and name.split(".")[-2] not in KEPT_FLOAT:
            tensor.data = torch.from_numpy(INT8.unpack(INT8.pack(tensor.detach().numpy())))
    state = model.initial_state(1)
    states = [part.numpy() for layer in state for part in layer]
    feed = dict(zip(input_names(config), [np.array([7]), *states], strict=True))
    with torch.inference_mode():
        expected, _ = model.step(torch.tensor([7]), state)
    np.testing.assert_allclose(session.run(["logits"], feed)[0], expected.numpy(), rtol=1e-4, atol=1e-4)


def test_onnxruntime_unpacks_once_on_opening(tmp_path: Path) -> None:
    """So decoding is as fast as in float32: no node that unpacks a matrix is left to run at each step."""
    options = onnxruntime.SessionOptions()
    options.optimized_model_filepath = str(tmp_path / "optimised.onnx")
    options.log_severity_level = 3  # the file is for this machine alone
    config = ModelConfig(d_model=32, n_layer=2, vocab_size=300)
    onnxruntime.InferenceSession(
        build_decode_graph(Int8Graph(build(config, seed=0))).SerializeToString(), options
    )
    nodes = onnx.load(tmp_path / "optimised.onnx").graph.node
    assert [node.input[0].startswith("Gather") for node in nodes if node.op_type == "Cast"] == [True]
