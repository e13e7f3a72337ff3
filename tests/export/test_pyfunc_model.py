import runpy
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tokenizers import Tokenizer

import bhasa.export
from bhasa import bundle
from bhasa.export.targets import Source, load_target
from bhasa.inference import text
from bhasa.inference.config import SamplingConfig
from bhasa.inference.generate import generate
from bhasa.model.language_model import LanguageModel

pytestmark = pytest.mark.filterwarnings("ignore")  # MLflow warns while it is imported

SAMPLING = SamplingConfig(max_new_tokens=24, temperature=0.9, top_k=40, top_p=0.9, seed=3)
CODE = Path(bhasa.export.__path__[0]) / "pyfunc_model.py"


@dataclass(frozen=True)
class Logged:
    """A model, and the same as MLflow opens it."""

    model: LanguageModel
    tokenizer: Tokenizer
    loaded: Any


@pytest.fixture(scope="module", params=["untied", "hybrid"])
def logged(
    request: pytest.FixtureRequest,
    models: dict[str, LanguageModel],
    model_folders: dict[str, Path],
    tokenizer_folder: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Logged]:
    import mlflow
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, ParamSchema, ParamSpec, Schema

    root = tmp_path_factory.mktemp("mlflow")
    model, tokenizer = models[request.param], bundle.load_tokenizer(tokenizer_folder)
    load_target("onnx").write(Source(model, model_folders[request.param]), root / "onnx")
    types = {float: "double", int: "long"}
    params = [ParamSpec(name, types[type(value)], value) for name, value in SAMPLING.as_mapping().items()]
    signature = ModelSignature(
        Schema([ColSpec("string", "prompt")]), Schema([ColSpec("string")]), ParamSchema(params)
    )
    given = mlflow.get_tracking_uri()
    mlflow.set_tracking_uri(f"sqlite:///{root / 'mlflow.db'}")
    mlflow.create_experiment("test", artifact_location=(root / "artifacts").as_uri())
    mlflow.set_experiment("test")
    with mlflow.start_run():
        info = mlflow.pyfunc.log_model(
            name="bhasa",
            python_model=str(CODE),
            artifacts={"model": str(root / "onnx")},
            signature=signature,
            pip_requirements=["onnxruntime"],
        )
    yield Logged(model, tokenizer, mlflow.pyfunc.load_model(info.model_uri))
    mlflow.set_tracking_uri(given)


def ours(logged: Logged, prompt: str, sampling: SamplingConfig) -> str:
    ids = text.document_ids(logged.tokenizer, prompt)
    stop_ids = text.special_ids(logged.tokenizer)
    written = list(generate(logged.model, ids, sampling, stop_ids=stop_ids))
    return logged.tokenizer.decode(written, skip_special_tokens=True)


@pytest.mark.parametrize("changes", [{}, {"temperature": 0.0}, {"seed": 4, "top_k": 0, "top_p": 1.0}])
def test_the_logged_model_writes_what_bhasa_generate_writes(logged: Logged, changes: dict[str, Any]) -> None:
    prompts = ["The river", "sea <|end|> ", ""]
    expected = [ours(logged, prompt, SAMPLING.model_copy(update=changes)) for prompt in prompts]
    written = logged.loaded.predict([{"prompt": prompt} for prompt in prompts], params=changes)
    assert written == expected
    assert any(expected)


@pytest.mark.parametrize(("name", "value"), [("top_p", 0.0), ("temperature", -1.0), ("max_new_tokens", 0)])
def test_a_parameter_out_of_range_is_named(logged: Logged, name: str, value: float) -> None:
    with pytest.raises(ValueError, match=f"params: {name}: found"):
        logged.loaded.predict([{"prompt": "The river"}], params={name: value})


def test_the_code_imports_nothing_of_bhasa() -> None:
    assert "import bhasa" not in CODE.read_text()
    assert "from bhasa" not in CODE.read_text()


@pytest.mark.parametrize("temperature", [0.0, 0.9])
@pytest.mark.parametrize("number", [np.nan, np.inf])
def test_logits_that_are_not_finite_are_an_error(temperature: float, number: float) -> None:
    sample = runpy.run_path(str(CODE))["sample"]
    params = SAMPLING.as_mapping() | {"temperature": temperature}
    logits = np.linspace(-1, 1, 8, dtype=np.float32)
    assert 0 <= sample(logits, params, 0) < 8
    logits[3] = number
    with pytest.raises(ValueError, match="logits are not finite"):
        sample(logits, params, 0)
