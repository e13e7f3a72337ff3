"""Each backend that a profile may name means something for every operation, or is refused."""

from typing import get_args

import pytest
import torch

from bhasa.errors import UserError
from bhasa.hardware import HardwareProfile
from bhasa.inference import native as native_decoding
from bhasa.model.config import ModelConfig
from bhasa.model.language_model import build
from bhasa.ops import native
from bhasa.ops.operations import OPERATIONS, implementations

CPU, CUDA = torch.device("cpu"), torch.device("cuda")
NAMES = get_args(HardwareProfile.model_fields["backend"].annotation)
ARCHITECTURES = {
    "mamba": {},
    "mamba2": {"ssm": "mamba2", "headdim": 8},
    "hybrid": {"pattern": "M*-", "n_layer": 3, "d_intermediate": 8, "attention": {"num_heads": 2}},
}


def config_of(**values):
    return ModelConfig.parse({"d_model": 16, "n_layer": 1, "vocab_size": 50} | values, "a model")


def test_the_names_are_those_of_the_implementations():
    own = {name for backends in OPERATIONS.values() for name in backends}
    assert own | {"auto"} == set(NAMES)


@pytest.mark.parametrize("name", ["auto", "native", "chunked", "reference"])
def test_a_name_means_the_same_for_every_operation(name):
    if name == "native" and native.missing(CPU, torch.float32):
        pytest.skip("the kernels are not built")
    expected = "native" if name == "auto" and native.current() else name.replace("auto", "chunked")
    found = implementations(CPU, name)
    assert found.keys() == OPERATIONS.keys()
    assert {value.split()[0] for value in found.values()} == {expected}


def test_triton_means_plain_torch_where_there_is_no_kernel_and_mamba_2_is_refused():
    assert implementations(CUDA, "triton") == {
        "selective_scan": "triton",
        "causal_conv": "triton",
        "rms_norm": "chunked",
        "cross_entropy": "chunked",
    }
    model = build(config_of(), seed=0, backend="triton")
    assert implementations(CUDA, "triton", model.operations()) == implementations(CUDA, "triton")
    with pytest.raises(UserError, match=r"found 'triton' \(ssd: has no such.*allowed: auto, native, chunked"):
        build(config_of(ssm="mamba2", headdim=8), seed=0, backend="triton")


@pytest.mark.skipif(native.missing(CPU, torch.float32) is not None, reason="the kernels are not built")
@pytest.mark.parametrize("architecture", ARCHITECTURES.values(), ids=ARCHITECTURES)
@pytest.mark.parametrize("name", ["chunked", "reference"])
def test_without_native_in_its_name_nothing_native_runs(monkeypatch, name, architecture):
    calls = []
    monkeypatch.setattr(native, "call", lambda kernel, arguments: calls.append(kernel))
    model = build(config_of(**architecture), seed=0, backend=name)
    ids = torch.arange(6)[None]
    model(ids, targets=ids).backward()
    model.token_losses(ids, ids)
    model(ids, model.initial_state(1))
    assert native_decoding.missing(model) == f"its backend is {name}"
    with pytest.raises(ValueError, match="its backend is"):
        native_decoding.NativeStepper(model)
    assert calls == []
    build(config_of(**architecture), seed=0, backend="auto").token_losses(ids, ids)
    assert "softmax_gather" in calls


def test_a_name_that_nothing_has_is_refused_when_the_model_is_built():
    with pytest.raises(UserError, match=r"found 'cuda' \(.*\); allowed: auto, native, "):
        build(config_of(), seed=0, backend="cuda")


def test_where_it_cannot_compute_the_message_names_operation_and_reason():
    with pytest.raises(UserError, match=r"'triton' \(selective_scan: .*allowed on cpu: auto, .*reference"):
        OPERATIONS["selective_scan"].resolve("triton", CPU)
    with pytest.raises(
        UserError, match=r"'native' \(ssd: it computes in float32\); allowed on cpu: auto, ch"
    ):
        OPERATIONS["ssd"].resolve("native", CPU, torch.float64)
    with pytest.raises(UserError, match=r"'native' \(selective_scan: it computes on the CPU"):
        implementations(CUDA, "native")


def test_states_that_the_native_scan_does_not_hold_are_computed_elsewhere_or_refused_when_it_is_named():
    model = build(config_of(d_state=300), seed=0)
    found = implementations(CPU, "auto", model.operations())
    assert found["selective_scan"] == "chunked"
    ids = torch.arange(6)[None]
    reference = build(config_of(d_state=300), seed=0, backend="reference")
    torch.testing.assert_close(model(ids, targets=ids), reference(ids, targets=ids))
    message = (
        r"found 'native' \(selective_scan: holds a d_state of at most 256, not 300\); allowed: auto, triton"
    )
    with pytest.raises(UserError, match=message):
        build(config_of(d_state=300), seed=0, backend="native")


@pytest.mark.skipif(native.missing(CPU, torch.float32) is not None, reason="the kernels are not built")
@pytest.mark.parametrize("ssm", ["mamba", "mamba2"])
def test_the_native_step_holds_states_of_any_size(ssm):
    model = build(config_of(d_state=300, ssm=ssm, headdim=8), seed=0).requires_grad_(False).eval()
    stepper = native_decoding.NativeStepper(model)
    for token in range(4):
        logits = stepper.step(token, stepper.state)
    torch.testing.assert_close(logits, model(torch.arange(4)[None])[0][0, -1], rtol=1e-4, atol=1e-5)
