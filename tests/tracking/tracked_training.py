"""A small tracked training as a program: `tracked_training.py [STEP]` is killed when STEP is recorded.

The thread that sends looks often, so that each kill finds it at another place. Prints the journal at the end.
"""

import json
import os
import signal
import sys
import time
from pathlib import Path

import numpy as np

from bhasa.hardware import HardwareProfile
from bhasa.model.config import ModelConfig
from bhasa.model.language_model import build
from bhasa.stages import run_folders, tracked
from bhasa.tokens.loader import Batch
from bhasa.tracking import sender
from bhasa.training.config import TrainingConfig
from bhasa.training.fit import fit
from bhasa.training.plan import Plan
from bhasa.training.run_folder import RunFolder

STEPS = 24


class Batches:
    rows_per_epoch = 1000

    def batch(self, step, batch_size, rows):
        draws = [np.random.default_rng([step, row]).integers(0, 40, 17) for row in range(batch_size)[rows]]
        tokens = np.stack(draws)
        return Batch(tokens[:, :-1], tokens[:, 1:], np.zeros_like(tokens[:, 1:]))


def die_at(last):
    record = RunFolder.record

    def slow_record(self, step, **values):
        record(self, step, **values)
        time.sleep(0.03)
        if step == last:
            os.kill(os.getpid(), signal.SIGKILL)

    RunFolder.record = slow_record


def main():
    die_at(int(sys.argv[1]) if sys.argv[1:] else None)
    sender.POLL_SECONDS = 0.05
    hardware = HardwareProfile(device="cpu", precision="fp32", micro_batch=2, threads=1)
    hardware.prepare()
    config = TrainingConfig(
        context_length=16,
        tokens_per_step=32,
        learning_rate=1e-2,
        validate_every=5,
        validation_sequences=2,
        checkpoint_every=4,
    )
    model = build(ModelConfig(d_model=16, n_layer=2, vocab_size=40, d_state=4), seed=0)
    with tracked("pretrain", Path("params.yaml")) as tracker:
        time.sleep(1)  # until the run is open
        plan = Plan("pretrain", config, steps=STEPS, seed=1, train=Batches(), validation=Batches())
        with fit(model, plan, hardware, folder=run_folders("pretrain"), follow=tracker.follow) as events:
            tracker.log_metrics({"validation_loss": events[-1]["validation_loss"]})
    print(json.dumps(events))


if __name__ == "__main__":
    main()
