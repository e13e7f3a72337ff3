import pytest

from bhasa.cards import describe_layers
from bhasa.model.config import ModelConfig

SMALL = {"d_model": 32, "vocab_size": 50, "attention": {"num_heads": 2}}


@pytest.mark.parametrize(
    ("values", "line"),
    [
        ({"n_layer": 4}, "4 Mamba"),
        ({"n_layer": 8, "pattern": "4M*3M", "ssm": "mamba2"}, "4 Mamba-2 -> attention -> 3 Mamba-2"),
        ({"n_layer": 6, "pattern": "M*-", "d_intermediate": 8}, "(Mamba -> attention -> MLP) x 2"),
        ({"n_layer": 2, "d_intermediate": 8}, "2 Mamba + MLP"),
        ({"n_layer": 4, "pattern": "M*M*"}, "(Mamba -> attention) x 2"),
    ],
)
def test_the_line_shows_one_period(values, line):
    assert describe_layers(ModelConfig.parse(SMALL | values, "preset.yaml")) == line
