import numpy as np
import onnx
import onnxruntime
import pytest
import torch

from bhasa.export.decode_graph import build_decode_graph, input_names, output_names
from bhasa.export.graph import Graph, builder
from bhasa.model.config import ModelConfig
from bhasa.model.language_model import LanguageModel, build
from bhasa.model.mixers.protocol import State


def assert_steps_agree(model: LanguageModel, state: State, *, steps: int) -> None:
    """From `state` on, logits and every state of the graph are those of the model."""
    config, batch = model.config, len(state[0][0])
    session = onnxruntime.InferenceSession(build_decode_graph(Graph(model)).SerializeToString())
    tokens = torch.randint(config.vocab_size, (steps, batch), generator=torch.Generator().manual_seed(0))
    states = [part.numpy() for layer in state for part in layer]
    for ids in tokens:
        feed = dict(zip(input_names(config), [ids.numpy(), *states], strict=True))
        logits, *states = session.run(output_names(config), feed)
        with torch.inference_mode():
            expected, state = model.step(ids, state)
        np.testing.assert_allclose(logits, expected.numpy(), rtol=1e-4, atol=1e-4)
        for found, part in zip(states, [part for layer in state for part in layer], strict=True):
            np.testing.assert_allclose(found, part.numpy(), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("batch", [1, 3])
def test_twenty_steps_equal_those_of_the_model_in_logits_and_every_state(
    config: ModelConfig, batch: int
) -> None:
    model = build(config, seed=1).eval()
    assert_steps_agree(model, model.initial_state(batch), steps=20)


def test_rows_that_have_read_texts_of_different_length_go_on_each_from_its_own(config: ModelConfig) -> None:
    model = build(config, seed=1).eval()
    ids = torch.randint(config.vocab_size, (3, 9), generator=torch.Generator().manual_seed(1))
    own = torch.arange(9) >= torch.tensor([[0], [7], [4]])
    with torch.inference_mode():
        _, state = model(ids, attention_mask=own)
    assert_steps_agree(model, state, steps=8)


def test_a_layer_has_the_states_of_its_mixer(config: ModelConfig) -> None:
    model = build(config, seed=1)
    for mixer, begins in zip(config.layers, model.initial_state(2), strict=True):
        found = [
            (state.kind, (2, *state.initial_shape), state.dtype) for state in builder(mixer).states(config)
        ]
        assert found == [
            (name.removesuffix("s"), tuple(part.shape), str(part.dtype).removeprefix("torch."))
            for name, part in begins._asdict().items()
        ]


def test_the_graph_is_valid_and_of_ordinary_operators(config: ModelConfig) -> None:
    graph = build_decode_graph(Graph(build(config, seed=1)))
    onnx.checker.check_model(graph, full_check=True)
    assert {node.domain for node in graph.graph.node} == {""}
    assert [opset.domain for opset in graph.opset_import] == [""]
    assert not any(node.op_type in {"Loop", "Scan"} for node in graph.graph.node)


def test_nothing_is_stored_or_computed_that_nothing_reads(config: ModelConfig) -> None:
    graph = build_decode_graph(Graph(build(config, seed=1))).graph
    made = [
        *(tensor.name for tensor in graph.initializer),
        *(name for node in graph.node for name in node.output),
    ]
    read = {name for node in graph.node for name in node.input} | set(output_names(config))
    assert set(made) <= read
    assert len(set(made)) == len(made)


def test_every_weight_is_stored_once(config: ModelConfig) -> None:
    model = build(config, seed=1)
    stored = sum(int(np.prod(tensor.dims)) for tensor in build_decode_graph(Graph(model)).graph.initializer)
    assert 0 <= stored - model.num_parameters() < 80  # besides the weights a few axes and sizes
