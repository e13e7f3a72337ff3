import numpy as np
import onnx
import onnxruntime
import pytest
import torch

from bhasa.export.decode_graph import Graph, build_decode_graph, input_names, output_names
from bhasa.model.config import ModelConfig
from bhasa.model.language_model import build


@pytest.mark.parametrize("batch", [1, 3])
def test_twenty_steps_equal_those_of_the_model_in_logits_and_every_state(
    config: ModelConfig, batch: int
) -> None:
    model = build(config, seed=1).eval()
    session = onnxruntime.InferenceSession(build_decode_graph(Graph(model)).SerializeToString())
    tokens = torch.randint(config.vocab_size, (20, batch), generator=torch.Generator().manual_seed(0))
    state = model.initial_state(batch)
    states = [part.numpy() for layer in state for part in layer]
    for ids in tokens:
        feed = dict(zip(input_names(config), [ids.numpy(), *states], strict=True))
        logits, *states = session.run(output_names(config), feed)
        with torch.inference_mode():
            expected, state = model.step(ids, state)
        np.testing.assert_allclose(logits, expected.numpy(), rtol=1e-4, atol=1e-4)
        for found, part in zip(states, [part for layer in state for part in layer], strict=True):
            np.testing.assert_allclose(found, part.numpy(), rtol=1e-4, atol=1e-5)


def test_the_graph_is_valid_and_of_ordinary_operators(config: ModelConfig) -> None:
    graph = build_decode_graph(Graph(build(config, seed=1)))
    onnx.checker.check_model(graph, full_check=True)
    assert {node.domain for node in graph.graph.node} == {""}
    assert [opset.domain for opset in graph.opset_import] == [""]
    assert not any(node.op_type in {"Loop", "Scan"} for node in graph.graph.node)


def test_every_weight_is_stored_once(config: ModelConfig) -> None:
    model = build(config, seed=1)
    stored = sum(int(np.prod(tensor.dims)) for tensor in build_decode_graph(Graph(model)).graph.initializer)
    assert 0 <= stored - model.num_parameters() < 50  # besides the weights a few axes and sizes
