"""A small training run as a program of its own, which can be told to die: what `test_resume.py` starts.

`one_run.py OUTPUT [FAULT NUMBER]`: FAULT is a signal to send to itself when step NUMBER is recorded, or
`rename`: be killed at rename NUMBER, so in the middle of publishing a checkpoint or the output.
"""

import os
import signal
import sys
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file

from bhasa import journal
from bhasa.errors import Stopped
from bhasa.hardware import HardwareProfile
from bhasa.model.config import ModelConfig
from bhasa.model.language_model import build
from bhasa.tokens.loader import Batch
from bhasa.training.config import TrainingConfig
from bhasa.training.curves import write_curves
from bhasa.training.fit import fit
from bhasa.training.plan import Plan
from bhasa.training.run_folder import RunFolder

STEPS = 14


class Batches:
    rows_per_epoch = 1000

    def batch(self, step, batch_size, rows):
        firsts = [np.random.default_rng([step, row]).integers(40) for row in range(batch_size)[rows]]
        tokens = (np.stack(firsts)[:, None] + np.arange(17)) % 40  # counting, which is soon learnt
        return Batch(tokens[:, :-1], tokens[:, 1:], np.zeros_like(tokens[:, 1:]))


def run(output):
    config = TrainingConfig(
        context_length=16,
        tokens_per_step=48,
        learning_rate=1e-2,
        validate_every=5,
        validation_sequences=3,
        checkpoint_every=4,
    )
    model = build(ModelConfig(d_model=16, n_layer=2, vocab_size=40, d_state=4, dropout=0.2), seed=0)
    hardware = HardwareProfile(device="cpu", precision="fp16", micro_batch=2, threads=1)
    hardware.prepare()
    plan = Plan("pretrain", config, steps=STEPS, seed=1, train=Batches(), validation=Batches())
    with fit(model, plan, hardware, folder=output.parent / "runs") as events:
        write_curves(events, output / "curves")
        with journal.publish(output / "model.safetensors") as draft:
            save_file({name: p.detach() for name, p in model.named_parameters()}, draft)


def die_at_rename(number):
    renames = 0

    def count(event, arguments):
        nonlocal renames
        if event == "os.rename":
            renames += 1
            if renames == number:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(count)


def signal_at_step(signum, number):
    record = RunFolder.record

    def record_and_signal(self, step, **values):
        record(self, step, **values)
        if "loss" in values and step == number:
            os.kill(os.getpid(), signum)

    RunFolder.record = record_and_signal


def main():
    output, *fault = sys.argv[1:]

    if fault and fault[0] == "rename":
        die_at_rename(int(fault[1]))
    elif fault:
        signal_at_step(signal.Signals[fault[0]], int(fault[1]))
    try:
        run(Path(output))
    except Stopped as stopped:
        print(stopped, file=sys.stderr)
        sys.exit(stopped.exit_code)


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
