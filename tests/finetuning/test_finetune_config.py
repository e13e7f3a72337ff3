import pytest

from bhasa.errors import UserError
from bhasa.finetuning.config import FinetuneConfig


def test_steps_are_passes_over_the_rows_or_as_given(make_config):
    config = make_config(epochs=2.0)  # two sequences a step
    assert config.steps(10) == 10
    assert config.steps(1) == 1
    assert make_config(epochs=0.1).steps(3) == 1
    assert make_config(max_steps=7).steps(1000) == 7


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"kind": "prefix"}, "adapter.kind: found 'prefix'; .*'lora'"),
        ({"kind": None}, "adapter.kind: found None"),
        ({"rank": 0}, "adapter.rank: found 0"),
        ({"targets": []}, "adapter.targets: found \\[\\]"),
        ({"targets": "in_proj"}, "adapter.targets: found 'in_proj'"),
        ({"dropout": 1.0}, "adapter.dropout: found 1.0"),
        ({"ranks": 1}, "adapter.ranks: unknown key .*did you mean 'rank'"),
    ],
)
def test_an_adapter_that_cannot_be_is_refused(make_config, lora, changes, message):
    values = make_config().as_mapping() | {"adapter": lora().as_mapping() | changes}
    with pytest.raises(UserError, match=message):
        FinetuneConfig.parse(values, "params.yaml: finetune")


def test_a_step_is_of_whole_sequences(make_config):
    with pytest.raises(UserError, match="must be a multiple of context_length"):
        FinetuneConfig.parse(make_config().as_mapping() | {"tokens_per_step": 40}, "params.yaml: finetune")
