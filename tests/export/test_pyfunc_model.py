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
from bhasa.inference.chat import ChatSession
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

    from bhasa.tracking.registry import signature

    root = tmp_path_factory.mktemp("mlflow")
    model, tokenizer = models[request.param], bundle.load_tokenizer(tokenizer_folder)
    load_target("onnx").write(Source(model, model_folders[request.param]), root / "onnx")
    given = mlflow.get_tracking_uri()
    mlflow.set_tracking_uri(f"sqlite:///{root / 'mlflow.db'}")
    mlflow.create_experiment("test", artifact_location=(root / "artifacts").as_uri())
    mlflow.set_experiment("test")
    with mlflow.start_run():
        info = mlflow.pyfunc.log_model(
            name="bhasa",
            python_model=str(CODE),
            artifacts={"model": str(root / "onnx")},
            signature=signature(SAMPLING.as_mapping()),
            pip_requirements=["onnxruntime"],
        )
    yield Logged(model, tokenizer, mlflow.pyfunc.load_model(info.model_uri))
    mlflow.set_tracking_uri(given)


def ours(logged: Logged, prompt: str, sampling: SamplingConfig) -> str:
    ids = text.document_ids(logged.tokenizer, prompt)
    stop_ids = text.special_ids(logged.tokenizer)
    return "".join(text.stream(logged.tokenizer, generate(logged.model, ids, sampling, stop_ids=stop_ids)))


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


def test_a_stream_gives_the_same_text_in_pieces(logged: Logged) -> None:
    several = 0
    for seed in range(4):
        pieces = list(logged.loaded.predict_stream([{"prompt": "The river"}], params={"seed": seed}))
        assert "".join(pieces) == ours(logged, "The river", SAMPLING.model_copy(update={"seed": seed}))
        several += len(pieces) > 1
    assert several


def test_messages_are_answered_as_in_a_chat(logged: Logged) -> None:
    session = ChatSession(logged.model, logged.tokenizer, SAMPLING)
    question = "What is a <|end|> river?"
    expected = "".join(session.reply(question))
    rows = [{"messages": [{"role": "user", "content": question}]}]
    assert logged.loaded.predict(rows) == [expected]
    assert "".join(logged.loaded.predict_stream(rows)) == expected


@pytest.mark.parametrize(
    "row", [{"messages": [{"role": "endoftext", "content": "a"}]}, {"prompt": "a", "messages": []}]
)
def test_a_row_that_is_neither_is_refused(logged: Logged, row: dict[str, Any]) -> None:
    with pytest.raises(Exception, match=r"no role|either a prompt"):
        logged.loaded.predict([row])


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
