"""Weighed domains: exact shares in every block, every row of a domain once before any twice, at any step."""

from collections import Counter
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bhasa.errors import UserError
from bhasa.tokens.mix import BLOCK, MixLoader, require_domains, rows_per_block
from bhasa.tokens.shard_reader import TokenSplit
from bhasa.tokens.training_rows import training_rows

MakeSplit = Callable[..., TokenSplit]

DOMAINS = ["b", "a", "c", "b", "a", "b"]
LENGTHS = [40, 30, 900, 60, 7, 50]
CONTEXT = 10

weights = st.dictionaries(
    st.sampled_from("abcdefgh"), st.sampled_from([0.0, 0.1, 0.5, 1.0, 3.0, 7.5]), min_size=1
).filter(lambda drawn: any(drawn.values()))


@pytest.fixture(scope="module")
def split(make_split: MakeSplit) -> TokenSplit:
    return make_split(LENGTHS, shard_tokens=64, domains=DOMAINS)


def mixed(split: TokenSplit, mix: dict[str, float], seed: int = 7, kind: str = "packed") -> MixLoader:
    loader = training_rows(split, CONTEXT, kind=kind, mix=mix, seed=seed)  # type: ignore[arg-type]
    assert isinstance(loader, MixLoader)
    return loader


def domain_of(split: TokenSplit) -> dict[int, str]:
    """Of every number in the stream but the special token."""
    return {
        number: domain
        for domain in split.index.domains
        for number in split.of_domain(domain).read(0, split.of_domain(domain).tokens).tolist()
        if number
    }


@given(weights)
@settings(deadline=None)
def test_counts_fill_a_block_and_differ_from_the_share_by_less_than_one_row(mix: dict[str, float]) -> None:
    counts = rows_per_block(mix)
    assert sum(counts.values()) == BLOCK
    total = sum(mix.values())
    assert all(abs(counts.get(name, 0) - weight / total * BLOCK) < 1 for name, weight in mix.items())


@pytest.mark.parametrize("kind", ["packed", "documents"])
def test_every_block_has_the_shares_asked_for(split: TokenSplit, kind: str) -> None:
    loader, of = mixed(split, {"a": 1, "b": 0, "c": 3}, kind=kind), domain_of(split)
    for block in (0, 5, 1_000_000):
        inputs = loader.batch(block, BLOCK).inputs
        drawn = Counter(of[int(row[row > 0][0])] for row in inputs)
        assert drawn == {"a": BLOCK // 4, "c": 3 * BLOCK // 4}


@given(st.integers(0, 2**32))
@settings(deadline=None, max_examples=10)
def test_every_row_of_a_domain_comes_once_before_any_comes_twice(split: TokenSplit, seed: int) -> None:
    loader = mixed(split, {"a": 2, "b": 1, "c": 5}, seed)
    slots = np.arange(4 * BLOCK)
    for number, inner in enumerate(loader._loaders):
        arranged = [loader._block(block) for block in range(4)]
        domains = np.concatenate([one.domains for one in arranged])
        places = np.concatenate([one.places for one in arranged])[domains == number]
        assert places.tolist() == list(range(len(places)))
        expected = inner.draw(places).tokens
        assert (loader.draw(slots[domains == number]).tokens == expected).all()


@given(st.integers(0, 2**32), st.integers(1, 40), st.integers(0, 10**7))
@settings(deadline=None, max_examples=25)
def test_a_step_is_the_same_first_and_in_parts(
    split: TokenSplit, seed: int, batch_size: int, step: int
) -> None:
    mix = {"a": 1.0, "b": 1.0, "c": 1.0}
    whole = mixed(split, mix, seed).batch(step, batch_size)
    again = mixed(split, mix, seed)
    rows = [again.batch(step, batch_size, slice(i, i + 1)) for i in reversed(range(batch_size))]
    for name in ("inputs", "targets", "segment_ids"):
        joined = np.concatenate([getattr(row, name) for row in reversed(rows)])
        assert np.array_equal(joined, getattr(whole, name))


def test_another_seed_gives_another_order(split: TokenSplit) -> None:
    mix = {"a": 1.0, "b": 1.0, "c": 1.0}
    orders = [mixed(split, mix, seed).batch(0, 50).inputs.tolist() for seed in range(3)]
    assert orders[0] != orders[1] != orders[2] != orders[0]


def test_without_weights_all_domains_are_one_ring_in_the_order_of_their_names(split: TokenSplit) -> None:
    stream = [split.of_domain(domain) for domain in ("a", "b", "c")]
    assert split.index.domains == ("a", "b", "c")
    assert split.read(0, split.tokens).tolist() == [
        token for part in stream for token in part.read(0, part.tokens).tolist()
    ]


def test_wrong_weights_are_named_with_what_there_is(split: TokenSplit) -> None:
    for mix, message in [
        ({"a": 1.0, "b": 1.0, "c": 1.0, "d": 1.0}, r"ingest.mix: d: no such domain; .* a, b, c"),
        ({"a": 1.0, "c": 1.0}, r"ingest.mix: b: missing; .* a, b, c; a weight of 0 leaves one out"),
        ({"a": 1.0, "b": 1.0, "c": 1e-5}, r"ingest.mix: c: found 1e-05, which is less than one row in 1,024"),
    ]:
        with pytest.raises(UserError, match=message):
            training_rows(split, CONTEXT, kind="packed", mix=mix, seed=0)
    with pytest.raises(UserError, match="rows: streams, which are not mixed"):
        training_rows(split, CONTEXT, kind="streams", mix=dict.fromkeys("abc", 1.0), seed=0)
    require_domains({"a": 1.0}, ("a",), "tokens")


def test_every_block_is_arranged_anew(split: TokenSplit) -> None:
    loader = mixed(split, {"a": 1.0, "b": 1.0, "c": 1.0})
    orders = [loader._block(block).domains.tolist() for block in range(3)]
    assert orders[0] != orders[1] != orders[2] != orders[0]
