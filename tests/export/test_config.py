from typing import Any

import pytest

from bhasa.errors import UserError
from bhasa.export.config import ExportConfig
from bhasa.export.targets import TARGETS, Gates

WHERE = "params.yaml: export"


def test_everything_is_exported_by_default() -> None:
    assert ExportConfig.parse({}, WHERE).targets.keys() == TARGETS.keys()


@pytest.mark.parametrize(
    ("targets", "message"),
    [
        ({"onx": {}}, "found 'onx'; allowed: huggingface, onnx, onnx-int8"),
        ({}, "targets"),
        ({"onnx-int8": {"mean_kl": -1.0}}, "params.yaml: export: targets.onnx-int8.mean_kl: found -1.0"),
        ({"onnx": {"mean_lk": 1.0}}, r"targets.onnx.mean_lk: unknown key .*did you mean 'mean_kl'"),
    ],
)
def test_targets_and_gates_are_checked_by_their_names(targets: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        ExportConfig.parse({"targets": targets}, WHERE)


def test_a_gate_that_is_given_stands_in_for_the_target_s_own() -> None:
    own = Gates(mean_kl=0.5, perplexity_increase=2.0)
    assert Gates().over(own) == {"mean_kl": 0.5, "perplexity_increase": 2.0}
    assert Gates(mean_kl=0.1, logit_difference=1.0).over(own) == {
        "mean_kl": 0.1,
        "perplexity_increase": 2.0,
        "logit_difference": 1.0,
    }


@pytest.mark.parametrize("target", TARGETS)
def test_every_target_has_a_gate_and_a_purpose(target: str) -> None:
    assert Gates().over(TARGETS[target].gates)
    assert TARGETS[target].purpose
