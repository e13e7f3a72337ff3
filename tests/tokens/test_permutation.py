import numpy as np
from hypothesis import example, given, settings
from hypothesis import strategies as st

from bhasa.tokens.permutation import permute


@given(st.integers(1, 3000), st.integers(0, 2**63 - 1))
@example(1, 0)
@example(2, 1)
@example(1024, 2)
@example(1025, 3)
@settings(deadline=None)
def test_every_index_comes_exactly_once(size: int, seed: int) -> None:
    order = permute(np.arange(size), size, seed=seed)
    assert sorted(order.tolist()) == list(range(size))


@given(st.integers(1, 2**40), st.integers(0, 2**63 - 1), st.data())
@settings(deadline=None)
def test_an_index_goes_to_the_same_place_alone_and_among_others(
    size: int, seed: int, data: st.DataObject
) -> None:
    indices = np.array(data.draw(st.lists(st.integers(0, size - 1), min_size=1, max_size=20)))
    together = permute(indices, size, seed=seed)
    alone = [int(permute(indices[i : i + 1], size, seed=seed)[0]) for i in range(len(indices))]
    assert together.tolist() == alone
    assert ((together >= 0) & (together < size)).all()


def test_the_order_looks_random_and_another_seed_gives_another() -> None:
    size, seeds = 1000, 200
    orders = np.stack([permute(np.arange(size), size, seed=seed) for seed in range(seeds)])
    assert len(np.unique(orders, axis=0)) == seeds
    # The mean of a place over many seeds, and how often neighbours stay neighbours, as in true shuffles.
    spread = (orders.mean(axis=0) - (size - 1) / 2) / (size / np.sqrt(12 * seeds))
    assert np.abs(spread).max() < 5
    assert 0.8 < spread.std() < 1.2
    neighbours = (np.abs(np.diff(orders, axis=1)) == 1).mean()
    assert 0.5 * 2 / size < neighbours < 1.5 * 2 / size
