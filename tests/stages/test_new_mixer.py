"""A mixer of another package, registered by one record, goes through everything that a model goes through."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from typer.testing import CliRunner

from bhasa import bundle
from bhasa.errors import UserError
from bhasa.experiment import Experiment, check_together
from bhasa.export.config import ExportConfig
from bhasa.export.targets import Gates
from bhasa.hardware import HardwareProfile
from bhasa.inference import native
from bhasa.inference.config import SamplingConfig
from bhasa.inference.generate import generate
from bhasa.model.config import ModelConfig
from bhasa.model.mixers import MIXERS, MixerKind
from bhasa.stages import export, pretrain
from bhasa.tokens import encoding, tokenizer_files
from bhasa.tokens.config import BpeConfig
from bhasa.tokens.kinds import bpe
from bhasa.tokens.shard_writer import TokenDocument, write_tokens
from bhasa.tracking import NullTracker
from bhasa.training.config import PretrainConfig, PretrainPreset

TEXTS = [
    f"the cat sat on mat {i} and saw that the rat sat there too, while nobody watched " for i in range(40)
]
PARAMS = Path(__file__).parents[2] / "params.yaml"
MIXER = '''
from typing import NamedTuple

import torch
from torch import Tensor, nn

from bhasa.model.mixers.protocol import Mixer, scale_output
from bhasa.ops import segments


class AverageState(NamedTuple):
    mean: Tensor  # (b, d_model)


class Average(Mixer[AverageState]):
    """An exponential moving average of each channel."""

    def __init__(self, config, backend="auto"):
        super().__init__(config, backend)
        self.decay = nn.Parameter(torch.zeros(config.d_model))
        self.out_proj = nn.Linear(config.d_model, config.d_model, bias=False)
        scale_output(self.out_proj, config)

    def forward(self, hidden, state=None, segment_ids=None, lengths=None):
        mean, outputs = (state or self.initial_state(len(hidden))).mean, []
        begins = None if segment_ids is None else segments.starts(segment_ids)
        for t in range(hidden.shape[1]):
            before = mean if begins is None else mean.masked_fill(begins[:, t, None], 0.0)
            outputs.append(self._after(hidden[:, t], before))
            mean = outputs[-1] if lengths is None else outputs[-1].where((t < lengths)[:, None], mean)
        return self.out_proj(torch.stack(outputs, dim=1)), AverageState(mean)

    def step(self, hidden, state):
        mean = self._after(hidden, state.mean)
        return self.out_proj(mean), AverageState(mean)

    def initial_state(self, batch_size):
        return AverageState(self.decay.new_zeros(batch_size, self.config.d_model))

    def _after(self, x, mean):
        kept = self.decay.sigmoid()
        return kept * mean + (1 - kept) * x
'''
ONNX = """
from bhasa.export.graph import StateTensor


def states(config):
    return [StateTensor("mean", (config.d_model,))]


def step(graph, i, hidden):
    name = f"backbone.layers.{i}.mixer"
    kept = graph.constant(f"{name}.kept", graph.tensors[f"{name}.decay"].sigmoid().numpy())
    change = graph.constant(f"{name}.change", 1 - graph.tensors[f"{name}.decay"].sigmoid().numpy())
    before = graph.add("Mul", f"mean_state.{i}", kept)
    mean = graph.add("Add", before, graph.add("Mul", hidden, change), output=f"mean_state_out.{i}")
    return graph.linear(f"{name}.out_proj", mean)
"""
RECORD = {
    "letter": "A",
    "title": "moving average",
    "implementation": ("averaging.mixer", "Average"),
    "activations": lambda config: 2 * config.d_model,
}


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    package = tmp_path / "averaging"
    package.mkdir()
    (package / "mixer.py").write_text(MIXER)
    (package / "onnx.py").write_text(ONNX)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    return tmp_path


def train(root: Path) -> Path:
    """The folder of a model whose layers are Mamba and the new mixer by turns."""
    tokenizer = bpe.make(BpeConfig(vocab_size=300), TEXTS)
    tokenizer_files.save(tokenizer, root / "tokenizer")
    ids = encoding.encode_documents(tokenizer, TEXTS)
    rows = [TokenDocument(i, len(text)) for i, text in zip(ids, TEXTS, strict=True)]
    splits = {"train": rows[:30], "validation": rows[30:35], "test": rows[35:]}
    write_tokens(
        root / "tokens",
        splits,
        vocab_size=tokenizer.get_vocab_size(),
        tokenizer=root / "tokenizer",
        masked=False,
    )
    metrics = pretrain.run(
        PretrainConfig(max_steps=6),
        seed=1,
        architecture=ModelConfig(d_model=16, n_layer=4, pattern="MA"),
        hardware=HardwareProfile(device="cpu", precision="fp32", micro_batch=2),
        preset=PretrainPreset(
            context_length=32, tokens_per_step=128, learning_rate=0.01, validation_sequences=4, tokens=10_000
        ),
        tokenizer=root / "tokenizer",
        tokens=root / "tokens",
        base=root / "base",
        report=root / "pretrain.json",
        curves=root / "curves",
        tracker=NullTracker(),
    )
    assert metrics["validation_loss"] < metrics["initial_validation_loss"]
    return root / "base"


def exported(model: Path, root: Path, *targets: str) -> Path:
    (root / "documents").mkdir(exist_ok=True)
    text = " ".join(TEXTS)
    table = pa.table({"text": [text], "bytes": [len(text.encode())]})
    pq.write_table(table, root / "documents" / "test-00000.parquet")
    export.run(
        ExportConfig(targets={name: Gates() for name in targets}, tokens=32),
        documents=root / "documents",
        finetuned=model,
        export=root / "export",
        report=root / "export.json",
        tracker=NullTracker(),
    )
    return root / "export"


def shown(model: Path) -> str:
    import typer

    from bhasa.tools import inspect

    app = typer.Typer()
    app.command()(inspect.command)
    return CliRunner().invoke(app, [str(model)], catch_exceptions=False, env={"COLUMNS": "200"}).output


@pytest.mark.slow
def test_one_record_is_enough_to_train_save_load_write_inspect_and_export(
    workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(MIXERS, "average", MixerKind(**RECORD))
    folder = train(workspace)

    model = bundle.load(folder)
    assert model.config.layers == ("mamba", "average") * 2
    assert "embedding -> (Mamba -> moving average) x 2" in (folder / "README.md").read_text()
    assert native.missing(model) == "moving average has no native step"
    greedy = SamplingConfig(temperature=0.0, max_new_tokens=8)
    written = list(generate(model, [1, 2, 3], greedy))
    with torch.inference_mode():
        logits, _ = model(torch.tensor([[1, 2, 3, *written]]))
    assert written == logits[0, 2:-1].argmax(-1).tolist()

    assert "moving average" in shown(folder)
    assert "64 bytes" in shown(folder)  # 16 channels

    assert (exported(folder, workspace, "huggingface") / "huggingface" / bundle.WEIGHTS).is_file()
    message = "export.targets: found onnx; moving average has no ONNX step; .*: huggingface"
    with pytest.raises(UserError, match=message):
        exported(folder, workspace, "huggingface", "onnx")


def test_an_onnx_step_is_a_module_that_the_record_names(
    workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(MIXERS, "average", MixerKind(**RECORD, onnx="averaging.onnx"))
    exported(train(workspace), workspace, "onnx")  # the stage compares it with the model


def test_an_export_that_cannot_be_is_found_before_anything_is_trained(
    workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(MIXERS, "average", MixerKind(**RECORD))
    experiment = Experiment.load(PARAMS)
    hardware = HardwareProfile(device="cpu", precision="fp32", micro_batch=2)
    pure, mixed = (ModelConfig(d_model=16, n_layer=2, pattern=pattern) for pattern in ("M", "MA"))
    check_together(experiment, pure, hardware)
    with pytest.raises(UserError, match="moving average has no ONNX step"):
        check_together(experiment, mixed, hardware)


def test_a_new_state_space_mixer_is_a_name_for_ssm(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(MIXERS, "average", MixerKind(**RECORD | {"letter": "M"}))
    assert ModelConfig(d_model=16, n_layer=2, ssm="average").layers == ("average", "average")
    with pytest.raises(UserError, match="ssm: found 'averages'; allowed: mamba, mamba2, average"):
        ModelConfig.parse({"d_model": 16, "n_layer": 2, "ssm": "averages"}, "preset.yaml")
