import json
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from bhasa.errors import UserError
from bhasa.model.config import ModelConfig
from bhasa.training import estimate
from bhasa.training.estimate import announce, require_memory, training_bytes
from bhasa.training.probe import Seconds

MEASURE = """
import json, sys, numpy as np, torch
from bhasa.hardware import HardwareProfile
from bhasa.model.config import ModelConfig
from bhasa.model.language_model import build
from bhasa.tokens.loader import Batch
from bhasa.training.estimate import training_bytes
from bhasa.training.config import TrainingConfig
from bhasa.training.step import Stepper

def peak_memory_bytes():  # of this process alone: rusage counts what its parent held, too
    status = dict(line.split(":") for line in open("/proc/self/status"))
    return 1024 * int(status["VmHWM"].split()[0])

length, rows, checkpointing = 512, 4, sys.argv[1] == "True"
config = ModelConfig.parse({"d_model": 128, "n_layer": 4, "vocab_size": 1024, **json.loads(sys.argv[2])}, "")
model = build(config, seed=0)
model.backbone.activation_checkpointing = checkpointing
training = TrainingConfig(context_length=length, tokens_per_step=length * rows, learning_rate=1e-3)
hardware = HardwareProfile(device="cpu", precision="fp32", micro_batch=rows, threads=1)
stepper = Stepper(model, training, hardware, seed=0)

class Batches:
    def __init__(self, length): self.length = length
    def batch(self, step, size, rows):
        ids = np.ones((len(range(size)[rows]), self.length), np.int64)
        return Batch(ids, ids, ids)

stepper.train_step(Batches(8), 0, sequences=1, rate=0.0)
before = peak_memory_bytes() - 16 * model.num_parameters()
stepper.train_step(Batches(length), 1, sequences=rows, rate=0.0)
n = model.num_parameters()
print(training_bytes(config, parameters=n, trained=n, tokens=rows * length, checkpointing=checkpointing)
      / (peak_memory_bytes() - before))
"""

ARCHITECTURES = {
    "mamba": {},
    "mamba2": {"ssm": "mamba2", "d_state": 64},
    "attention": {"pattern": "*", "attention": {"num_heads": 4}},
    "mlp": {"pattern": "M3-", "d_intermediate": 512},
}


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads Linux's account of memory")
@pytest.mark.parametrize("checkpointing", [False, True])
@pytest.mark.parametrize("architecture", ARCHITECTURES.values(), ids=ARCHITECTURES)
def test_the_memory_of_a_step_is_estimated_within_a_factor_of_two(architecture, checkpointing):
    ratio = subprocess.run(
        [sys.executable, "-c", MEASURE, str(checkpointing), json.dumps(architecture)],
        capture_output=True,
        text=True,
        check=True,
    )
    assert 0.5 < float(ratio.stdout) < 2


FINETUNE = """
import torch
from bhasa.finetuning import adapters
from bhasa.finetuning.config import LoraConfig
from bhasa.model.config import ModelConfig
from bhasa.model.language_model import build
from bhasa.training.estimate import training_bytes

def memory_bytes(which):
    status = dict(line.split(":", 1) for line in open("/proc/self/status"))
    return 1024 * int(status[which].split()[0])

torch.set_num_threads(1)
ids, n = torch.ones(4, 512, dtype=torch.int64), 50_280
config = ModelConfig(d_model=128, n_layer=2, vocab_size=n)
before = memory_bytes("VmRSS")
model = build(config, seed=0)
tuning = LoraConfig(kind="lora", rank=8, alpha=16.0, targets=("in_proj",))
adapters.attach(model, tuning, seed=0)
model.train()(ids, targets=ids).backward()
trained = sum(p.numel() for p in model.parameters() if p.requires_grad)
estimate = training_bytes(
    config, parameters=model.num_parameters(), trained=trained, tokens=2048, checkpointing=False)
print(estimate / (memory_bytes("VmHWM") - before))
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads Linux's account of memory")
@pytest.mark.slow
def test_the_memory_of_fine_tuning_with_a_large_vocabulary():
    ratio = subprocess.run([sys.executable, "-c", FINETUNE], capture_output=True, text=True, check=True)
    assert 0.5 < float(ratio.stdout) < 2


def test_more_of_anything_needs_more_and_checkpointing_less():
    config = ModelConfig(d_model=64, n_layer=8, vocab_size=1000)
    values = {"parameters": 5000, "trained": 500, "tokens": 4096, "checkpointing": False}
    base = training_bytes(config, **values)
    assert training_bytes(config, **values | {"tokens": 8192}) > base
    assert training_bytes(config, **values | {"trained": 1000}) > base
    assert training_bytes(config, **values | {"checkpointing": True}) < base


def test_one_line_says_what_the_run_will_cost(capsys, make_stepper, make_plan):
    stepper = make_stepper(micro_batch=3)
    announce(stepper, make_plan(50), 0)
    (line,) = capsys.readouterr().err.splitlines()
    count = f"{stepper.model.num_parameters():,}"
    pattern = (
        rf"run: {count} parameters \({count} trained\), 50 steps of 64 tokens "
        r"\(3,200 in all, 2 x 3 sequences a step\); about \d+ (s|min) and \d+\.\d (GB|MB) of memory on cpu"
    )
    assert re.fullmatch(pattern, line), line


def test_what_is_done_is_said_and_not_counted_again(capsys, make_stepper, make_plan, monkeypatch):
    monkeypatch.setattr(estimate, "measure", lambda stepper, plan: Seconds(step=10.0, validation=100.0))
    said = []
    for done in (0, 8, 9):  # of 10 steps, with validations after steps 0, 3, 6, 9 and 10
        announce(make_stepper(), make_plan(10), done)
        said.append(capsys.readouterr().err)
    assert "about 10 min and" in said[0]  # 10 x 10 + 5 x 100 s
    assert ", of which 8 are done; about 4 min and" in said[1]  # 2 x 10 + 2 x 100 s
    assert ", of which 9 are done; about 2 min and" in said[2]  # 1 x 10 + 1 x 100 s


def test_memory_is_in_the_unit_that_fits(monkeypatch):
    monkeypatch.setattr("psutil.virtual_memory", lambda: SimpleNamespace(total=400_000_000))
    with pytest.raises(UserError, match=r"more than 640.0 MB of memory, cpu has 400.0 MB"):
        require_memory(40_000_000, "cpu")
