from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import bhasa.export
from bhasa import bundle
from bhasa.export.targets import load_target
from bhasa.inference import text
from bhasa.inference.config import SamplingConfig
from bhasa.inference.generate import generate

pytestmark = pytest.mark.filterwarnings("ignore")  # MLflow warns while it is imported

SAMPLING = SamplingConfig(max_new_tokens=24, temperature=0.9, top_k=40, top_p=0.9, seed=3)
CODE = Path(bhasa.export.__path__[0]) / "pyfunc_model.py"


@pytest.fixture(scope="module")
def loaded(model_folders: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    import mlflow
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, ParamSchema, ParamSpec, Schema

    root = tmp_path_factory.mktemp("mlflow")
    source = model_folders["untied"]
    load_target("onnx").write(bundle.load(source), source, root / "onnx")
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
        logged = mlflow.pyfunc.log_model(
            name="bhasa",
            python_model=str(CODE),
            artifacts={"model": str(root / "onnx")},
            signature=signature,
            pip_requirements=["onnxruntime"],
        )
    yield mlflow.pyfunc.load_model(logged.model_uri)
    mlflow.set_tracking_uri(given)


def ours(folder: Path, prompt: str, sampling: SamplingConfig) -> str:
    model, tokenizer = bundle.load(folder), bundle.load_tokenizer(folder)
    ids = text.document_ids(tokenizer, prompt)
    written = list(generate(model, ids, sampling, stop_ids=text.special_ids(tokenizer)))
    return tokenizer.decode(written, skip_special_tokens=True)


@pytest.mark.parametrize("changes", [{}, {"temperature": 0.0}, {"seed": 4, "top_k": 0, "top_p": 1.0}])
def test_the_logged_model_writes_what_bhasa_generate_writes(
    loaded: Any, model_folders: dict[str, Path], changes: dict[str, Any]
) -> None:
    prompts = ["The river", "sea <|end|> ", ""]
    expected = [
        ours(model_folders["untied"], prompt, SAMPLING.model_copy(update=changes)) for prompt in prompts
    ]
    assert loaded.predict([{"prompt": prompt} for prompt in prompts], params=changes) == expected
    assert any(expected)


@pytest.mark.parametrize(("name", "value"), [("top_p", 0.0), ("temperature", -1.0), ("max_new_tokens", 0)])
def test_a_parameter_out_of_range_is_named(loaded: Any, name: str, value: float) -> None:
    with pytest.raises(ValueError, match=f"params: {name}: found"):
        loaded.predict([{"prompt": "The river"}], params={name: value})


def test_the_code_imports_nothing_of_bhasa() -> None:
    assert "import bhasa" not in CODE.read_text()
    assert "from bhasa" not in CODE.read_text()
