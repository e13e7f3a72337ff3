import pytest

from bhasa.errors import UserError
from bhasa.export.config import ExportConfig
from bhasa.export.targets import TARGETS


def test_everything_is_exported_unless_told() -> None:
    assert ExportConfig.parse({}, "params.yaml: export").targets == tuple(TARGETS)


@pytest.mark.parametrize(
    ("targets", "message"),
    [
        (["onx"], "found 'onx'; allowed: huggingface, onnx, onnx-int8"),
        (["onnx", "onnx"], "name each one once"),
        ([], "targets"),
    ],
)
def test_targets_are_checked_against_the_registry(targets: list[str], message: str) -> None:
    with pytest.raises(UserError, match=message):
        ExportConfig.parse({"targets": targets}, "params.yaml: export")
