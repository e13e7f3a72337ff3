"""Runs whose parent is killed while they train: what `test_signals.py` starts.

`killed_parent.py FOLDER TRIALS`: for each trial, a parent of several threads forks a run and is killed by
SIGKILL. Prints the run's exit code and how many checkpoints it left, or None where it trained on.
"""

import ctypes
import os
import signal
import sys
import threading
import time
from pathlib import Path

import torch

from bhasa.errors import Stopped
from bhasa.hardware import HardwareProfile
from bhasa.measure.workloads import SameBatch
from bhasa.model.config import ModelConfig
from bhasa.model.language_model import build
from bhasa.signals import stop_with_parent
from bhasa.training.config import TrainingConfig
from bhasa.training.fit import fit
from bhasa.training.plan import Plan
from bhasa.training.run_folder import RunFolder

PR_SET_CHILD_SUBREAPER = 36
PATIENCE = 30.0


def train(folder, ready):
    """Never ends by itself; writes to `ready` when it has begun."""
    stop_with_parent()
    record = RunFolder.record

    def first_recorded(self, step, **values):
        record(self, step, **values)
        if step == 1:
            os.write(ready, str(os.getpid()).encode() + b"\n")

    RunFolder.record = first_recorded
    config = TrainingConfig(context_length=8, tokens_per_step=16, learning_rate=1e-3, checkpoint_every=10**9)
    batches = SameBatch(2, 8, 8)
    plan = Plan("run", config, steps=10**9, seed=0, train=batches, validation=batches)
    model = build(ModelConfig(d_model=8, n_layer=1, vocab_size=8, d_state=4), seed=0)
    hardware = HardwareProfile(device="cpu", precision="fp32", micro_batch=2)
    try:
        with fit(model, plan, hardware, folder=folder):
            pass
    except Stopped as stopped:
        os._exit(stopped.exit_code)


def parent(folder, ready):
    for _ in range(5):
        threading.Thread(target=threading.Event().wait, daemon=True).start()
    if os.fork() == 0:
        train(folder, ready)
    time.sleep(PATIENCE)


def trial(folder):
    reading, writing = os.pipe()
    killed = os.fork()
    if killed == 0:
        parent(folder, writing)
        os._exit(1)
    os.close(writing)  # a run that dies before it is ready ends the reading
    run = int(os.read(reading, 20))
    os.kill(killed, signal.SIGKILL)
    os.waitpid(killed, 0)
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        pid, status = os.waitpid(run, os.WNOHANG)
        if pid:
            return os.waitstatus_to_exitcode(status), len(list(folder.glob("*/*/step-*")))
        time.sleep(0.01)
    os.kill(run, signal.SIGKILL)
    os.waitpid(run, 0)
    return None


if __name__ == "__main__":
    torch.set_num_threads(1)  # and so no threads that a fork would lack
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1)  # what a killed parent leaves is this process's child
    for number in range(int(sys.argv[2])):
        print(found := trial(Path(sys.argv[1]) / str(number)), flush=True)
        if found is None:
            break
