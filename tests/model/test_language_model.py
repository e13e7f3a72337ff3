import math
from operator import itemgetter

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from bhasa.model.config import ModelConfig
from bhasa.model.language_model import build, outline
from bhasa.model.mixers.attention import AttentionState
from bhasa.model.mixers.protocol import State, map_state
from bhasa.ops import selective_scan

SMALL = ModelConfig(d_model=16, n_layer=2, vocab_size=50, d_state=4)


def remembered(state: State) -> State:
    """The tensors of a state of rows that are equally long, a cache without what belongs to no row."""
    return [
        layer._replace(keys=layer.keys[:, :, -n:], values=layer.values[:, :, -n:])
        if isinstance(layer, AttentionState) and (n := int(layer.length.max())) < layer.keys.shape[2]
        else layer
        for layer in state
    ]


def gradients(model, ids, **options):
    model.zero_grad()
    logits, _ = model(ids[:, :-1], **options)
    F.cross_entropy(logits.flatten(0, 1), ids[:, 1:].flatten()).backward()
    return {name: parameter.grad.clone() for name, parameter in model.named_parameters()}


def test_initial_values_are_those_of_the_finished_model():
    config = ModelConfig(d_model=256, n_layer=3, vocab_size=1000, d_intermediate=0)
    model = build(config, seed=0).requires_grad_(False)
    assert model.backbone.embeddings.weight.std() == pytest.approx(0.02, rel=0.02)
    for layer in range(3):
        mixer = model.backbone.layers[layer].mixer
        steps = F.softplus(mixer.dt_proj.bias)
        assert steps.min() >= 1e-3 * 0.999
        assert steps.max() <= 0.1 * 1.001
        assert steps.log().mean() == pytest.approx(math.log(1e-2), abs=0.2)  # log-uniform
        assert mixer.dt_proj.weight.abs().max() <= 16**-0.5
        torch.testing.assert_close(mixer.A_log.exp(), torch.arange(1, 17.0).expand(512, 16))
        assert torch.equal(mixer.D, torch.ones(512))
        # nn.Linear draws from +-1/sqrt(fan in), which has that over sqrt(3) as its deviation
        assert mixer.in_proj.weight.std() == pytest.approx(256**-0.5 / math.sqrt(3), rel=0.02)
        assert mixer.out_proj.weight.std() == pytest.approx(512**-0.5 / math.sqrt(3) / math.sqrt(3), rel=0.02)


def test_initial_values_of_mamba2_are_those_of_the_finished_model():
    config = ModelConfig(d_model=256, n_layer=3, vocab_size=50, ssm="mamba2", headdim=2, d_state=8)
    for block in build(config, seed=0).requires_grad_(False).backbone.layers:
        mixer = block.mixer
        steps = F.softplus(mixer.dt_bias)
        assert steps.min() >= 1e-3 * 0.999
        assert steps.max() <= 0.1 * 1.001
        assert steps.log().mean() == pytest.approx(math.log(1e-2), abs=0.2)  # log-uniform
        A = mixer.A_log.exp()
        assert (A.min() >= 1, A.max() <= 16, A.mean().item()) == (True, True, pytest.approx(8.5, abs=1))
        assert torch.equal(mixer.D, torch.ones(256))
        assert torch.equal(mixer.norm.weight, torch.ones(512))
        assert mixer.out_proj.weight.std() == pytest.approx(512**-0.5 / math.sqrt(3) / math.sqrt(3), rel=0.02)


def test_an_mlp_doubles_the_residual_additions_that_are_scaled_down():
    config = ModelConfig(d_model=256, n_layer=2, vocab_size=50, d_intermediate=512)
    block = build(config, seed=0).requires_grad_(False).backbone.layers[0]
    expected = 512**-0.5 / math.sqrt(3) / math.sqrt(2 * 2)
    assert block.mixer.out_proj.weight.std() == pytest.approx(expected, rel=0.02)
    assert block.mlp.fc2.weight.std() == pytest.approx(expected, rel=0.02)


def test_an_untied_output_is_initialised_like_the_embedding():
    config = ModelConfig(d_model=128, n_layer=1, vocab_size=1000, tie_embeddings=False)
    model = build(config, seed=0).requires_grad_(False)
    assert model.lm_head.weight.std() == pytest.approx(0.02, rel=0.02)
    assert not torch.equal(model.lm_head.weight, model.backbone.embeddings.weight)


def test_the_seed_alone_decides_the_weights():
    torch.manual_seed(7)
    before = torch.random.get_rng_state()
    first = build(SMALL, seed=3).state_dict()
    assert torch.equal(torch.random.get_rng_state(), before)  # nothing is drawn from the outer generator
    torch.manual_seed(8)
    again, other = build(SMALL, seed=3).state_dict(), build(SMALL, seed=4).state_dict()
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not torch.equal(first["backbone.embeddings.weight"], other["backbone.embeddings.weight"])


def test_every_parameter_of_every_variant_learns(config, ids):
    model = build(config, seed=0)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    losses = []
    for _ in range(5):
        logits, _ = model(ids[:, :-1])
        loss = F.cross_entropy(logits.flatten(0, 1), ids[:, 1:].flatten())
        losses.append(loss.item())
        optimizer.zero_grad()
        loss.backward()
        assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in model.parameters())
        optimizer.step()
    assert losses[-1] < losses[0] - 0.05


@torch.no_grad()
def test_decoding_token_by_token_equals_one_forward_pass(config, ids):
    model = build(config, seed=0).eval()
    expected, final = model(ids)
    state = model.initial_state(2)
    for t in range(ids.shape[1]):
        logits, state = model.step(ids[:, t], state)
        torch.testing.assert_close(logits, expected[:, t], rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(state, final, rtol=1e-4, atol=1e-5)


@settings(max_examples=5, deadline=None)
@given(length=st.integers(2, 80), data=st.data())
@torch.no_grad()
def test_cut_anywhere_and_carry_the_state(config, length, data):
    cut = data.draw(st.integers(1, length - 1))
    model = build(config, seed=0).eval()
    ids = torch.randint(50, (2, length), generator=torch.Generator().manual_seed(length))
    first, state = model(ids[:, :cut])
    second, carried = model(ids[:, cut:], state)
    expected, final = model(ids)
    torch.testing.assert_close(torch.cat([first, second], dim=1), expected, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(carried, final, rtol=1e-4, atol=1e-5)


@torch.no_grad()
def test_what_comes_later_changes_nothing_to_the_bit(config, ids):
    model = build(config, seed=0).eval()
    later = torch.cat([ids[:, :31], (ids[:, 31:] + 1) % 50], dim=1)
    assert torch.equal(model(ids)[0][:, :31], model(later)[0][:, :31])


def test_any_number_of_threads_gives_the_same_bits(config, ids):
    if config.norm == "layer":
        pytest.skip("torch's LayerNorm sums its gradients by thread")
    found = []
    for threads in (1, 2):
        before = torch.get_num_threads()
        torch.set_num_threads(threads)
        try:
            found.append(gradients(build(config, seed=0), ids))
        finally:
            torch.set_num_threads(before)
    assert all(torch.equal(found[0][name], found[1][name]) for name in found[0])


@pytest.mark.parametrize("side", ["left", "right", "between"])
@torch.no_grad()
def test_padding_changes_nothing(config, ids, side):
    model = build(config, seed=0).eval()
    earlier = model(ids[:, :9])[1]
    expected, final = model(ids, earlier)
    place = {"left": 0, "right": 70, "between": 31}[side]
    mask = torch.ones(2, 70)
    mask, padded = (
        torch.cat([row[:, :place], torch.full((2, 5), fill), row[:, place:]], dim=1)
        for row, fill in ((mask, 0.0), (ids, 7))
    )
    logits, state = model(padded, earlier, attention_mask=mask)
    # torch's fused attention sums over the columns in blocks, which padding shifts.
    near = {"rtol": 1e-5, "atol": 1e-6} if "*" in config.pattern else {"rtol": 0, "atol": 0}
    torch.testing.assert_close(logits[mask == 1], expected.flatten(0, 1), **near)
    torch.testing.assert_close(remembered(state), remembered(final), **near)


@torch.no_grad()
def test_rows_of_different_lengths_are_as_if_alone(config):
    model = build(config, seed=0).eval()
    rows = [torch.arange(n)[None] % 50 for n in (1, 2, 40)]
    mask = torch.stack([torch.arange(40) < row.shape[1] for row in rows])
    ids = torch.zeros(3, 40, dtype=torch.long).masked_scatter(mask, torch.cat(rows, dim=1))
    logits, state = model(ids, attention_mask=mask)
    for i, row in enumerate(rows):
        expected, final = model(row)
        torch.testing.assert_close(logits[i : i + 1, : row.shape[1]], expected, rtol=1e-5, atol=1e-6)
        alone = remembered(map_state(itemgetter(slice(i, i + 1)), state))
        torch.testing.assert_close(alone, final, rtol=1e-5, atol=1e-6)


def test_a_long_text_in_pieces_has_the_loss_of_the_whole(config):
    """Truncated backpropagation: the state is carried, the gradient is not."""
    model = build(config, seed=0)
    ids = torch.randint(50, (1, 401), generator=torch.Generator().manual_seed(1))
    whole, _ = model.token_losses(ids[:, :-1], ids[:, 1:])
    state, pieces = None, []
    for start in range(0, 400, 100):
        logits, state = model(ids[:, start : start + 100], state)
        loss = F.cross_entropy(logits[0], ids[0, start + 1 : start + 101], reduction="none")
        loss.sum().backward()
        state = map_state(torch.Tensor.detach, state)
        pieces.append(loss.detach())
    torch.testing.assert_close(torch.cat(pieces)[None], whole, rtol=1e-4, atol=1e-5)
    assert all(parameter.grad.isfinite().all() for parameter in model.parameters())


@settings(max_examples=4, deadline=None)
@given(lengths=st.lists(st.integers(1, 40), min_size=1, max_size=5))
def test_packed_documents_give_the_losses_and_gradients_of_each_alone(config, lengths):
    model = build(config, seed=0)
    ids = torch.randint(50, (1, sum(lengths)), generator=torch.Generator().manual_seed(len(lengths)))
    segments = torch.cat([torch.full((n,), i + 1) for i, n in enumerate(lengths)])[None]
    packed, state = model(ids, segment_ids=segments)
    documents = [model(document) for document in ids.split(lengths, dim=1)]
    alone = torch.cat([logits for logits, _ in documents], dim=1)
    torch.testing.assert_close(remembered(state), remembered(documents[-1][1]), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(packed, alone, rtol=1e-4, atol=1e-5)
    weights = list(model.parameters())
    for found, expected in zip(
        torch.autograd.grad(packed.square().sum(), weights),
        torch.autograd.grad(alone.square().sum(), weights),
        strict=True,
    ):
        torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-5)


def test_every_backend_gives_the_same_model(ids):
    expected = gradients(build(SMALL, seed=0, backend="reference"), ids)
    for backend in selective_scan.BACKENDS.available():
        found = gradients(build(SMALL, seed=0, backend=backend), ids)
        for name in expected:
            torch.testing.assert_close(found[name], expected[name], rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize("dropout", [0.0, 0.3])
def test_activation_checkpointing_gives_the_same_bits(config, ids, dropout):
    model = build(config.model_copy(update={"dropout": dropout}), seed=0).train()
    found = []
    for model.backbone.activation_checkpointing in (False, True):
        torch.manual_seed(5)
        found.append(gradients(model, ids))
    assert all(torch.equal(found[0][name], found[1][name]) for name in found[0])


def test_activation_checkpointing_keeps_less_for_backward(ids):
    model = build(SMALL, seed=0).train()
    kept = []
    for model.backbone.activation_checkpointing in (False, True):
        saved = []
        with torch.autograd.graph.saved_tensors_hooks(
            lambda t, s=saved: s.append(t.numel()) or t, lambda t: t
        ):
            model(ids)
        kept.append(sum(saved))
    assert kept[1] < kept[0] / 3


def test_targets_give_the_loss_of_the_logits_whatever_else_is_given(config, ids):
    model = build(config, seed=0)
    given, targets = ids[:, :-1], ids[:, 1:].clone()
    targets[:, ::3] = -100
    segments = torch.arange(given.shape[1]).expand_as(given) // 4
    mask = torch.ones_like(given)
    mask[0, :2] = 0
    for options in ({}, {"segment_ids": segments}, {"segment_ids": segments, "attention_mask": mask}):
        logits, _ = model(given, **options)
        expected = F.cross_entropy(logits.flatten(0, 1), targets.flatten(), reduction="sum")
        torch.testing.assert_close(model(given, targets=targets, **options), expected)


def test_dropout_acts_in_training_only(ids):
    model = build(SMALL.model_copy(update={"dropout": 0.5}), seed=0)
    plain = build(SMALL, seed=0)
    with torch.no_grad():
        assert torch.equal(model.eval()(ids)[0], plain(ids)[0])
        assert not torch.equal(model.train()(ids)[0], plain(ids)[0])


def test_under_bf16_what_must_be_exact_stays_float32(ids):
    config = ModelConfig(d_model=64, n_layer=4, vocab_size=50)
    model = build(config, seed=0).requires_grad_(False)
    expected, exact_state = model(ids)
    dtypes = {}
    for name, module in model.named_modules():
        module.register_forward_hook(
            lambda _, inputs, output, name=name: dtypes.__setitem__(name, (inputs[0].dtype, output))
        )
    with torch.autocast("cpu", dtype=torch.bfloat16):
        logits, state = model(ids)
    assert logits.dtype == torch.float32
    assert {layer.ssm.dtype for layer in state} == {torch.float32}
    mixer = "backbone.layers.0.mixer"
    assert dtypes[f"{mixer}.dt_proj"][1].dtype == torch.float32  # the bias is added in float32
    assert dtypes[f"{mixer}.in_proj"][1].dtype == torch.bfloat16  # and the products are not
    assert dtypes["backbone.layers.1.norm"][0] == torch.float32  # the residual stream
    assert {p.dtype for p in model.parameters()} == {torch.float32}
    assert (logits - expected).abs().max() < 0.02 * expected.abs().max()
    assert (state[-1].ssm - exact_state[-1].ssm).abs().max() < 0.05 * exact_state[-1].ssm.abs().max()


def test_the_state_is_of_constant_size_and_float32():
    model = build(SMALL, seed=0)
    _, short = model(torch.zeros(1, 1, dtype=torch.int64))
    _, long = model(torch.zeros(1, 200, dtype=torch.int64))
    for initial, one, many in zip(model.initial_state(1), short, long, strict=True):
        for part in ("conv", "ssm"):
            tensors = [getattr(state, part) for state in (initial, one, many)]
            assert len({t.shape for t in tensors}) == 1
            assert {t.dtype for t in tensors} == {torch.float32}
            assert {t.untyped_storage().nbytes() for t in tensors} == {4 * tensors[0].numel()}


@pytest.mark.parametrize("family", [{}, {"ssm": "mamba2", "headdim": 8}, {"pattern": "M*", "use_bias": True}])
def test_an_outline_has_the_names_and_shapes_and_draws_nothing(family):
    config = ModelConfig(d_model=16, n_layer=2, vocab_size=30, attention={"num_heads": 2}, **family)
    before = torch.get_rng_state()
    found = {name: p.shape for name, p in outline(config).state_dict().items()}
    assert torch.equal(torch.get_rng_state(), before)
    assert found == {name: p.shape for name, p in build(config, seed=0).state_dict().items()}


def test_the_size_of_a_state_is_what_each_mixer_says(config, ids):
    model = build(config, seed=0).eval()
    for length in (0, 1, 5, 70):
        state = model.initial_state(1)
        if length:
            with torch.inference_mode():
                _, state = model(ids[:1, :length])
        for block, layer in zip(model.backbone.layers, state, strict=True):
            assert block.mixer.state_bytes(length) == sum(part.nbytes for part in layer)


class ScaledHead(torch.nn.Module):
    """Around the output projection, as an adapter is that its weight does not show."""

    def __init__(self, head):
        super().__init__()
        self.head, self.weight = head, head.weight

    def forward(self, hidden):
        return 2 * self.head(hidden)


def test_a_wrapped_output_projection_is_bypassed_by_neither_loss(ids):
    model = build(SMALL, seed=0)
    model.lm_head = ScaledHead(model.lm_head)
    with torch.no_grad():
        expected = F.cross_entropy(model(ids)[0].flatten(0, 1), ids.flatten(), reduction="none")
        torch.testing.assert_close(model.token_losses(ids, ids)[0].flatten(), expected)
        torch.testing.assert_close(model(ids, targets=ids), expected.sum())
