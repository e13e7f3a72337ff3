import json
import os
import subprocess
import sys
import warnings
from pathlib import Path

import pytest

from bhasa.params import read_mapping
from bhasa.stages import tracked

with warnings.catch_warnings(action="ignore"):
    import mlflow.pyfunc

    from bhasa.tracking import data_hash
    from bhasa.tracking.data_hash import dvc_hash
    from bhasa.tracking.run import METRICS_PER_CALL

MODEL_CODE = """
from pathlib import Path
import mlflow

class Echo(mlflow.pyfunc.PythonModel):
    def load_context(self, context):
        self.text = Path(context.artifacts["model"], "answer.txt").read_text()

    def predict(self, context, model_input, params=None):
        said = f"{self.text} {params['seed']} {params['top_p']}"
        return [f"{prompt} {said}" for prompt in model_input["prompt"]]

mlflow.models.set_model(Echo())
"""


def test_params_are_flat_and_whole(params: Path, store) -> None:
    resolved = {
        "model": {"d_model": 64, "norm": "rms", "tags": ["a", "b"], "none": None, "more": {}},
        "long": "x" * 9000,
    }
    with tracked("pretrain", params) as tracker:
        tracker.log_params(resolved)
        tracker.log_params({f"many.{i}": i for i in range(250)})
    run = store.only("pretrain")
    assert run.data.params["model.size"] == read_mapping(params)["model"]["size"]
    adapter = read_mapping(params)["finetune"]["adapter"]
    assert run.data.params["finetune.adapter.rank"] == str(adapter["rank"])
    assert run.data.params["model.d_model"] == "64"
    assert run.data.params["model.norm"] == "rms"
    assert run.data.params["model.tags"] == '["a", "b"]'
    assert run.data.params["many.249"] == "249"
    whole = json.loads(store.artifact(run, "params.json"))
    assert whole["long"] == "x" * 9000
    assert whole["model.none"] is None
    assert whole.keys() == run.data.params.keys()
    assert store.only("pipeline").data.params["model.size"]


def test_a_parameter_given_twice_keeps_the_run_alive(
    params: Path, store, capsys: pytest.CaptureFixture[str]
) -> None:
    with tracked("pretrain", params) as tracker:
        tracker.log_params({"dt_rank": "auto"})
        tracker.log_params({"dt_rank": 4})
    run = store.only("pretrain")
    assert run.data.params["dt_rank"] == "auto"
    assert json.loads(store.artifact(run, "params.json"))["dt_rank"] == 4
    assert capsys.readouterr().err == ""


def test_metrics_by_step_all_arrive(params: Path, store) -> None:
    with tracked("pretrain", params) as tracker:
        for step in range(METRICS_PER_CALL + 7):
            tracker.log_metrics({"loss": 1 / (step + 1), "lr": 0.5}, step)
        tracker.log_metrics({"perplexity": 12.5, "broken": float("nan")})
    run = store.only("pretrain")
    assert store.history(run, "loss") == [(i, 1 / (i + 1)) for i in range(METRICS_PER_CALL + 7)]
    assert run.data.metrics["perplexity"] == 12.5


def test_files_and_folders_are_kept(params: Path, store) -> None:
    (params.parent / "report.json").write_text("{}")
    (params.parent / "plots").mkdir()
    (params.parent / "plots" / "loss.svg").write_text("<svg/>")
    with tracked("evaluate", params) as tracker:
        tracker.log_file(params.parent / "report.json")
        tracker.log_folder(params.parent / "plots")
    run = store.only("evaluate")
    assert store.artifact(run, "report.json") == "{}"
    assert store.artifact(run, "plots/loss.svg") == "<svg/>"


def test_artifacts_lie_in_the_main_workspace(params: Path, root: Path) -> None:
    with tracked("evaluate", params) as tracker:
        tracker.log_file(params)
    assert list((root / "mlartifacts").rglob("params.yaml"))
    assert [p.name for p in params.parent.iterdir()] == ["params.yaml"]


def test_inputs_carry_the_hash_of_their_content(params: Path, store) -> None:
    data = params.parent / "tokens"
    data.mkdir()
    (data / "train.npy").write_bytes(b"123")
    with tracked("pretrain", params) as tracker:
        tracker.log_input("tokens", data, "training")
        tracker.log_input("tokens", data, "training")
    (given,) = store.only("pretrain").inputs.dataset_inputs
    assert (given.dataset.name, given.dataset.digest) == ("tokens", dvc_hash(data))
    assert given.tags[0].value == "training"


def test_the_hash_is_that_of_dvc(tmp_path: Path) -> None:
    data = tmp_path / "data"
    for name, text in (("b/c.txt", "1"), ("b.txt", "2"), ("a/\u0905.txt", "3"), ("empty", "")):
        (data / name).parent.mkdir(parents=True, exist_ok=True)
        (data / name).write_text(text)
    (tmp_path / "file.bin").write_bytes(bytes(range(256)))
    dvc = [sys.executable, "-m", "dvc"]
    environment = os.environ | {"DVC_NO_ANALYTICS": "1"}
    for command in (["init", "-q", "--no-scm"], ["add", "-q", "data", "file.bin"]):
        subprocess.run([*dvc, *command], cwd=tmp_path, env=environment, check=True, capture_output=True)
    for path in (data, tmp_path / "file.bin"):
        assert f"md5: {dvc_hash(path)}\n" in path.with_name(f"{path.name}.dvc").read_text()


def test_what_a_stage_wrote_has_the_hash_in_the_lock_until_it_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write = "mkdir -p data/a && echo 1 > data/a/b && echo 2 > data/c"
    Path("dvc.yaml").write_text(f"stages:\n  make:\n    cmd: {write}\n    outs: [data]\n")
    dvc = [sys.executable, "-m", "dvc"]
    environment = os.environ | {"DVC_NO_ANALYTICS": "1"}
    for command in (["init", "-q", "--no-scm"], ["repro", "-q"]):
        subprocess.run([*dvc, *command], env=environment, check=True, capture_output=True)
    made, lock = dvc_hash(Path("data")), Path("dvc.lock").read_text()
    assert f"md5: {made}\n" in lock
    with monkeypatch.context() as patch:
        patch.setattr(data_hash, "_computed", lambda path: pytest.fail(f"{path} is read"))
        assert dvc_hash(Path("data")) == made
    Path("data/c").chmod(0o644)
    Path("data/c").write_text("3\n")  # of the same size, and later than the lock
    changed = dvc_hash(Path("data"))
    assert changed != made
    Path("data/c").write_text("2\n")
    assert dvc_hash(Path("data")) == made
    Path("dvc.lock").write_text("schema: '2.0'\n")
    assert dvc_hash(Path("data")) == made


def test_the_exported_model_is_registered_and_generates(
    params: Path, store, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (params.parent / "code.py").write_text(MODEL_CODE)
    (params.parent / "export").mkdir()
    (params.parent / "export" / "answer.txt").write_text("one")
    for score in (1.5, 2.0):
        with tracked("export", params) as tracker:
            tracker.log_metrics({"difference": 0.25})
            tracker.register_model(
                "bhasa",
                Path("code.py"),
                Path("export"),
                params={"seed": 1, "top_p": 0.5},
                packages=["numpy", "tokenizers"],
                figures={"bits_per_byte": score, "test_texts_sha256": "abc"},
            )
        (params.parent / "export" / "answer.txt").write_text("two")
    captured = capfd.readouterr()
    assert captured.out == ""
    assert captured.err.splitlines() == [
        "bhasa: version 1 of the registered model is the champion: it is the first",
        "bhasa: version 2 of the registered model is not the champion: 2.0000 bits per byte against 1.5000 "
        "on the same test texts; `bhasa promote 2`",
    ]
    assert "MLFLOW_TRACKING_URI" not in os.environ
    version = store.client.get_model_version_by_alias("bhasa", "champion")
    assert str(version.version) == "1"
    origin = {"experiment": "tiny-default", "commit": "uncommitted"}
    assert version.tags == {"bits_per_byte": "1.5", "test_texts_sha256": "abc"} | origin
    assert "bits per byte: 1.5" in version.description
    assert version.run_id == store.runs("pipeline")[0].info.run_id
    assert store.runs("export")[0].info.status == "FINISHED"
    assert len(store.client.search_model_versions("name = 'bhasa'")) == 2
    assert [p.name for p in params.parent.iterdir() if p.name.startswith("ml")] == []

    monkeypatch.setattr("mlflow.tracking._tracking_service.utils._tracking_uri", store.client.tracking_uri)
    with warnings.catch_warnings(action="ignore"):
        model = mlflow.pyfunc.load_model("models:/bhasa@champion")
        assert model.predict([{"prompt": "say"}]) == ["say one 1 0.5"]
        assert model.predict([{"prompt": "say"}], params={"seed": 4}) == ["say one 4 0.5"]
