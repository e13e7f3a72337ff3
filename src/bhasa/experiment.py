"""What `params.yaml` says as a whole: the seed, three choices of presets, and one section per stage.

Each section is of the class that its stage reads, so that a mistake in the last stage's section is found
before the first stage starts, and not after an hour of training.
"""

from pathlib import Path
from typing import Annotated

from pydantic import Field

from bhasa.documents.config import IngestConfig
from bhasa.evaluation.config import EvaluateConfig, SpeedConfig
from bhasa.export.config import ExportConfig
from bhasa.finetuning.config import FinetuneConfig
from bhasa.hardware import HardwareProfile
from bhasa.model.config import ModelConfig
from bhasa.params import Config
from bhasa.tokens.config import TokenizeConfig
from bhasa.training.config import PretrainConfig, PretrainPreset


class ModelChoice(Config):
    size: str
    """A preset of pipeline/model/, without `.yaml`."""


class HardwareChoice(Config):
    profile: str
    """A preset of pipeline/hardware/, without `.yaml`."""


class TrainingChoice(Config):
    preset: str
    """A preset of pipeline/training/, without `.yaml`."""


class Experiment(Config):
    """One experiment; `dvc exp run -S key=value` changes any of it."""

    seed: Annotated[int, Field(ge=0, lt=2**32)]
    """All randomness follows from it."""
    model: ModelChoice
    hardware: HardwareChoice
    training: TrainingChoice
    ingest: IngestConfig
    tokenize: TokenizeConfig
    pretrain: PretrainConfig
    finetune: FinetuneConfig
    evaluate: EvaluateConfig
    export: ExportConfig
    speed: SpeedConfig


def check(params: Path, pipeline: Path) -> None:
    """Raise `UserError` for the first mistake in `params`, in the presets it chooses, or between them."""
    experiment = Experiment.load(params)
    architecture = architecture_of(experiment, pipeline / "model" / f"{experiment.model.size}.yaml")
    hardware = HardwareProfile.load(pipeline / "hardware" / f"{experiment.hardware.profile}.yaml")
    PretrainPreset.load(pipeline / "training" / f"{experiment.training.preset}.yaml")
    hardware.require_device()
    check_together(experiment, architecture, hardware)


def architecture_of(experiment: Experiment, preset: Path) -> ModelConfig:
    """Of the model that `pretrain` trains: the preset's, or that of the folder it starts from."""
    architecture = ModelConfig.load(preset)
    if experiment.pretrain.init_from is not None:
        from bhasa import bundle

        return bundle.read_config(Path(experiment.pretrain.init_from))
    from bhasa.tokens import kinds

    return architecture.model_copy(update={"vocab_size": kinds.largest_size(experiment.tokenize.tokenizer)})


def check_together(experiment: Experiment, architecture: ModelConfig, hardware: HardwareProfile) -> None:
    """Raise `UserError` where values that are each allowed do not fit one another.

    Without this, a later stage would find it, when the hours of the stages before it are spent.
    """
    from bhasa.export.targets import require_exportable
    from bhasa.finetuning.projections import projections
    from bhasa.model.language_model import outline
    from bhasa.training.estimate import require_memory

    model = outline(architecture, hardware.backend)
    hardware.kernels(model)
    require_memory(model.num_parameters(), hardware.device)
    projections(model, experiment.finetune.adapter.targets)
    require_exportable(experiment.export.targets, architecture)
