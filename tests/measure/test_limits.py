import pytest

from bhasa.measure import limits
from bhasa.model.config import ModelConfig
from bhasa.model.language_model import build


@pytest.mark.parametrize("tied", [True, False])
def test_the_products_and_bytes_of_a_token(tied):
    config = ModelConfig(d_model=16, n_layer=2, vocab_size=50, d_state=4, tie_embeddings=tied)
    model = build(config, seed=0)
    layer = 16 * 64 + 32 * (1 + 2 * 4) + 1 * 32 + 32 * 16  # in_proj, x_proj, dt_proj, out_proj
    assert limits.layer_parameters(model) == 2 * layer
    assert limits.product_parameters(model) == 2 * layer + 50 * 16
    unread = 0 if tied else 4 * 50 * 16
    assert limits.weight_bytes(model) == 4 * model.num_parameters() - unread


def test_a_scan_is_limited_by_what_takes_longer():
    arithmetic = limits.scan_seconds(1000, 4, products=1e6, copied=1e9, backward=False)
    memory = limits.scan_seconds(1000, 4000, products=1e12, copied=1e6, backward=False)
    assert arithmetic == pytest.approx(1000 * 13 * 2 / 1e6)
    assert memory == pytest.approx(4 * 4000 / 1e6)
