import pytest

from bhasa.errors import UserError
from bhasa.model.config import ModelConfig

WIDTHS = {"d_model": 64, "n_layer": 2}


@pytest.mark.parametrize(("width", "rank"), [(64, 4), (65, 5), (768, 48), (8, 1)])
def test_the_automatic_rank_is_a_sixteenth_rounded_up(width, rank):
    assert ModelConfig(d_model=width, n_layer=1).resolved_dt_rank == rank


def test_a_rank_of_ones_own_is_kept():
    assert ModelConfig(**WIDTHS, dt_rank=7).resolved_dt_rank == 7


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"dt_min": 0.2}, r"dt_min \(0.2\) must not exceed dt_max \(0.1\)"),
        ({"dt_rank": 129}, r"dt_rank \(129\) must not exceed expand \* d_model \(128\)"),
        ({"dt_rank": "full"}, "dt_rank"),
        ({"d_state": 0}, "d_state: found 0"),
        ({"norm": "batch"}, "norm: found 'batch'"),
        ({"dropout": 1.0}, "dropout: found 1.0"),
        ({"n_layers": 3}, "n_layers: unknown key.*n_layer"),
        ({"d_model": "64"}, "d_model: found '64'"),
    ],
)
def test_a_config_that_makes_no_model_is_refused(values, message):
    with pytest.raises(UserError, match=message):
        ModelConfig.parse(WIDTHS | values, "tiny.yaml")


@pytest.mark.parametrize("suffix", ["yaml", "json"])
def test_written_and_read_again(tmp_path, suffix):
    config = ModelConfig(**WIDTHS, dt_rank=3, d_intermediate=8, norm="layer")
    config.save(tmp_path / f"m.{suffix}")
    assert ModelConfig.load(tmp_path / f"m.{suffix}") == config
