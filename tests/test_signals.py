"""Signals, sent to real processes."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from bhasa.signals import stop_requests

pytestmark = pytest.mark.usefixtures("signals_of_a_terminal")
PROGRAM = Path(__file__).with_name("killed_parent.py")

ASKED = """
import os, signal
from bhasa.signals import stop_requests
with stop_requests() as requested:
    for signum in SENT:
        os.kill(os.getpid(), signum)
        print(requested(), flush=True)
print("end")
"""


def asked(*signals, start=""):
    """What a process says that sends itself these signals; `start` is a shell command that runs it."""
    program = ASKED.replace("SENT", str([int(signum) for signum in signals]))
    command = ["sh", "-c", start or 'exec "$@"', "sh", sys.executable, "-c", program]
    return subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_is_a_request_and_another_has_its_usual_effect(signum):
    assert asked(signum).stdout.split() == [str(int(signum)), "end"]
    twice = asked(signum, signal.SIGTERM)
    assert (twice.stdout.split(), twice.returncode) == ([str(int(signum))], -signal.SIGTERM)


def test_under_nohup_a_hangup_stays_ignored_and_sigterm_asks():
    done = asked(signal.SIGHUP, signal.SIGHUP, signal.SIGTERM, start='exec nohup "$@"')
    assert done.stdout.split() == ["None", "None", "15", "end"]


def test_in_the_background_an_interrupt_stays_ignored_and_sigterm_asks():
    done = asked(signal.SIGINT, signal.SIGINT, signal.SIGTERM, start='"$@" & wait')
    assert done.stdout.split() == ["None", "None", "15", "end"]


def test_what_was_ignored_is_ignored_afterwards():
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with stop_requests():
            assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="only Linux signals a parent's death")
def test_a_run_whose_parent_of_several_threads_is_killed_saves_and_stops(tmp_path):
    trials = 20
    done = subprocess.run([sys.executable, PROGRAM, tmp_path, str(trials)], capture_output=True, text=True)
    assert done.stdout.splitlines() == [str((128 + signal.SIGTERM, 1))] * trials, done.stderr


DIES_AT_ONCE = """
import os, signal, sys, time
from bhasa import signals
reading, writing = os.pipe()
if os.fork() == 0:
    if os.fork() == 0:
        parent, tell = os.getppid(), signals._set_death_signal
        def after_its_death(signum):
            os.kill(parent, signal.SIGKILL)
            while os.getppid() == parent:
                time.sleep(0.01)
            tell(signum)
        signals._set_death_signal = after_its_death
        signals.stop_with_parent()
        os.write(writing, b"works on")
        os._exit(0)
    time.sleep(60)
os.close(writing)
sys.exit(os.read(reading, 20))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux signals a parent's death")
def test_a_parent_that_dies_before_it_is_watched_counts_as_dead():
    done = subprocess.run([sys.executable, "-c", DIES_AT_ONCE], capture_output=True, text=True)
    assert done.stderr.strip() == "b''"


WATCHED = """
import os, signal, threading, time
from bhasa.signals import stop_requests, stop_with_parent
reading, writing = os.pipe()
def start():
    if os.fork() == 0:
        stop_with_parent()
        with stop_requests() as requested:
            os.write(writing, b".")
            time.sleep(1)
            os.write(writing, str(requested()).encode())
        os._exit(0)
    os.read(reading, 1)
thread = threading.Thread(target=start)
thread.start()
thread.join()
print(os.read(reading, 20).decode())
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux signals a parent's death")
def test_the_end_of_the_parent_s_thread_is_not_its_death():
    done = subprocess.run([sys.executable, "-c", WATCHED], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "None"


STARTED = """
import atexit, sys
from bhasa import cli
from bhasa import signals
atexit.register(lambda: print("death signal", signals._death_signal()))
sys.argv = ["bhasa", "check", "--help"]
cli.main()
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux signals a parent's death")
@pytest.mark.parametrize("by_dvc", [True, False])
def test_what_dvc_starts_stops_with_it_and_what_a_person_starts_does_not(by_dvc):
    environment = {name: value for name, value in os.environ.items() if name != "DVC_STAGE"}
    environment |= {"DVC_STAGE": "pretrain"} if by_dvc else {}
    done = subprocess.run([sys.executable, "-c", STARTED], env=environment, capture_output=True, text=True)
    assert done.stdout.splitlines()[-1] == f"death signal {int(signal.SIGTERM) if by_dvc else 0}"
