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
        ({"rank": 0}, "rank: found 0"),
        ({"targets": []}, "targets: found \\[\\]"),
        ({"targets": "in_proj"}, "targets: found 'in_proj'"),
        ({"dropout": 1.0}, "dropout: found 1.0"),
        ({"tokens_per_step": 40}, "must be a multiple of context_length"),
    ],
)
def test_what_cannot_be_tuned_is_refused(make_config, changes, message):
    with pytest.raises(UserError, match=message):
        FinetuneConfig.parse(make_config().as_mapping() | changes, "params.yaml: finetune")
