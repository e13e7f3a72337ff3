import pytest
import torch

from bhasa.errors import UserError
from bhasa.hardware import HardwareProfile, machine


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has the device")
def test_a_device_that_is_not_there_is_an_error_that_names_those_that_are():
    profile = HardwareProfile(device="cuda", precision="fp16", micro_batch=1)
    with pytest.raises(UserError, match="device: found 'cuda', this machine has: cpu"):
        profile.prepare()


@pytest.mark.parametrize(
    ("precision", "dtype"), [("fp32", torch.float32), ("bf16", torch.bfloat16), ("fp16", torch.float16)]
)
def test_precision_on_a_cpu_is_what_was_asked(precision, dtype):
    assert HardwareProfile(device="cpu", precision=precision, micro_batch=1).torch_dtype() == dtype


def test_threads_are_set():
    before = torch.get_num_threads()
    try:
        HardwareProfile(device="cpu", precision="fp32", micro_batch=1, threads=1).prepare()
        assert torch.get_num_threads() == 1
    finally:
        torch.set_num_threads(before)


def test_the_machine_names_what_decides_the_bits():
    found = machine()
    assert found.keys() >= {"bhasa", "torch", "python", "blas", "instruction_set", "threads"}
    assert found["threads"] == torch.get_num_threads()
    assert ("gpu" in found) == torch.cuda.is_available()


def test_asking_for_the_device_sets_nothing(monkeypatch):
    monkeypatch.setattr(torch, "set_num_threads", lambda count: pytest.fail("threads were set"))
    profile = HardwareProfile(device="cpu", precision="fp32", micro_batch=1, threads=1)
    assert profile.torch_device == torch.device("cpu")
