import pytest
import torch

from bhasa.finetuning import adapters
from bhasa.finetuning.config import LoraConfig
from bhasa.hardware import HardwareProfile
from bhasa.model.config import ModelConfig
from bhasa.model.language_model import build
from bhasa.training.dropout import RowDropout, dropped
from bhasa.training.step import Stepper

ROWS = 4


def own(config, **hardware):
    """A model with dropout of its own, after its mixers and its MLPs."""
    shape = {"d_model": 16, "n_layer": 2, "vocab_size": 40, "d_state": 4, "d_intermediate": 16}
    return stepper_of(build(ModelConfig(**shape, dropout=0.3), seed=0), config, **hardware)


def adapted(config, **hardware):
    """A model whose adapters have dropout."""
    model = build(ModelConfig(d_model=16, n_layer=2, vocab_size=40, d_state=4), seed=0)
    lora = {"kind": "lora", "rank": 2, "alpha": 4.0, "dropout": 0.3, "targets": ["in_proj", "out_proj"]}
    adapters.attach(model, LoraConfig.parse(lora, "test"), seed=0)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "lora_B" in name:  # zero at first, so that nothing would depend on what is dropped
                parameter.normal_(generator=torch.Generator().manual_seed(0))
    return stepper_of(model, config, **hardware)


def stepper_of(model, config, *, micro_batch, checkpointing=False, seed=1):
    model.backbone.activation_checkpointing = checkpointing
    hardware = HardwareProfile(device="cpu", precision="fp32", micro_batch=micro_batch)
    return Stepper(model, config, hardware, seed=seed)


def observed(stepper, batches, step=0):
    """The loss, the gradient before clipping, and what each layer dropped of each row, in order of rows."""
    masks, gradients = {}, {}
    for name, module in stepper.dropouts.items():
        masks[name] = []
        module.register_forward_hook(lambda m, i, output, seen=masks[name]: seen.append(output.detach() == 0))
    trained = [(name, p) for name, p in stepper.model.named_parameters() if p.requires_grad]
    update = stepper.optimizer.step

    def kept(rate):
        gradients.update({name: p.grad.clone() for name, p in trained if p.grad is not None})
        update(rate)

    stepper.optimizer.step, stepper.clip_norm = kept, 1e9
    result = stepper.train_step(batches, step, sequences=ROWS, rate=1e-3)
    return result.loss, gradients, {name: torch.cat(seen) for name, seen in masks.items()}


@pytest.mark.parametrize("make", [own, adapted])
@pytest.mark.parametrize(("micro_batch", "checkpointing"), [(1, False), (2, False), (3, False), (4, True)])
def test_the_micro_batch_does_not_decide_what_is_learnt(config, batches, make, micro_batch, checkpointing):
    loss, gradients, masks = observed(make(config, micro_batch=4), batches)
    assert len(masks) == 4
    found = observed(make(config, micro_batch=micro_batch, checkpointing=checkpointing), batches)
    assert found[0] == pytest.approx(loss, rel=1e-6)
    assert found[1].keys() == gradients.keys()
    for name, expected in gradients.items():
        torch.testing.assert_close(found[1][name], expected, rtol=1e-3, atol=1e-6)
    for name, expected in masks.items():  # the first forward; a recomputation comes after it
        assert torch.equal(found[2][name][:ROWS], expected)


@pytest.mark.parametrize("make", [own, adapted])
def test_each_seed_step_row_and_layer_drops_others_and_a_share_of_all(config, batches, make):
    drawn = [
        mask
        for seed in (1, 2)
        for step in (0, 1)
        for masks in [observed(make(config, micro_batch=2, seed=seed), batches, step)[2].values()]
        for layer in masks
        for mask in layer
    ]
    assert len({mask.numpy().tobytes() for mask in drawn}) == len(drawn) == 2 * 2 * 4 * ROWS
    assert float(torch.cat([mask.flatten() for mask in drawn]).float().mean()) == pytest.approx(0.3, abs=0.02)


def test_the_global_generator_is_neither_read_nor_moved(config, batches):
    losses = []
    for seed in (0, 1):
        torch.manual_seed(seed)
        before = torch.get_rng_state()
        losses.append(observed(own(config, micro_batch=2), batches)[0])
        assert torch.equal(torch.get_rng_state(), before)
    assert losses[0] == losses[1]


def test_after_a_step_and_without_keys_it_is_torch_s(config, batches):
    stepper = own(config, micro_batch=2)
    stepper.train_step(batches, 0, sequences=ROWS, rate=1e-3)
    ours, theirs, x = RowDropout(0.3), torch.nn.Dropout(0.3), torch.ones(2, 50)
    assert all(module.keys is None for module in stepper.dropouts.values())
    for layer in (ours, theirs):
        torch.manual_seed(0)
        layer.found = layer.train()(x)
    assert torch.equal(ours.found, theirs.found)


def test_what_stays_is_scaled_and_evaluation_drops_nothing():
    layer, x = RowDropout(0.5), torch.ones(3, 7, 11)
    layer.keys = torch.tensor([1 << 40, 2 << 40, 3 << 40])
    assert set(layer.train()(x).flatten().tolist()) == {0.0, 2.0}
    assert layer.train()(x.bfloat16()).dtype == torch.bfloat16
    assert torch.equal(layer.eval()(x), x)


@pytest.mark.parametrize("p", [0.05, 0.5])
def test_what_is_dropped_looks_drawn(p):
    keys = torch.randint(1 << 62, (200,), generator=torch.Generator().manual_seed(0))
    drawn = dropped(keys, torch.Size((200, 64, 96)), p).double().flatten(1)
    scaled = (drawn - p) / (p * (1 - p)) ** 0.5  # mean 0, variance 1
    n = scaled.shape[1]
    assert scaled.mean(1).std() * n**0.5 == pytest.approx(1, abs=0.2)
    between = (scaled @ scaled.T / n).fill_diagonal_(0).abs()
    assert between.max() < 5.5 / n**0.5
    for lag in (1, 2, 95, 96, 97, 1024):  # neighbours in both directions
        along = (scaled[:, lag:] * scaled[:, :-lag]).mean()
        assert abs(along) < 5 / scaled.numel() ** 0.5
