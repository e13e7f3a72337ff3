import pytest

from bhasa.errors import UserError
from bhasa.training.config import PretrainConfig, PretrainPreset, TrainingConfig

VALUES = {"context_length": 16, "tokens_per_step": 64, "learning_rate": 1e-3, "tokens": 1000}


def test_steps_follow_from_the_token_budget_or_are_given():
    preset = PretrainPreset(**VALUES)
    assert preset.sequences_per_step == 4
    assert PretrainConfig().steps(preset) == 15
    assert PretrainConfig(max_steps=3).steps(preset) == 3
    assert PretrainConfig(max_steps=0, init_from="folder").steps(preset) == 0
    assert PretrainConfig().steps(preset.model_copy(update={"tokens": 1})) == 1


def test_an_experiment_may_replace_the_learning_rate():
    preset = PretrainPreset(**VALUES)
    assert PretrainConfig(learning_rate=0.5).applied_to(preset).learning_rate == 0.5
    assert PretrainConfig().applied_to(preset) == preset


def test_no_steps_need_a_model_to_take_over():
    with pytest.raises(UserError, match=r"pretrain: max_steps is 0 and init_from null, .*; name a folder"):
        PretrainConfig.parse({"max_steps": 0}, "params.yaml: pretrain")


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"tokens_per_step": 40}, r"tokens_per_step \(40\) must be a multiple of context_length \(16\)"),
        ({"learning_rate": 0.0}, "learning_rate: found 0.0"),
        ({"beta2": 1.0}, "beta2: found 1.0"),
        ({"warmup_fraction": 1.5}, "warmup_fraction: found 1.5"),
        ({"clip_norm": "1"}, "clip_norm: found '1'"),
        ({"learning_rat": 1.0}, "did you mean 'learning_rate'"),
    ],
)
def test_values_that_cannot_be_are_refused(values, message):
    with pytest.raises(UserError, match=message):
        TrainingConfig.parse({k: v for k, v in VALUES.items() if k != "tokens"} | values, "fast.yaml")
