import pytest

from bhasa.errors import UserError
from bhasa.model.config import ModelConfig
from bhasa.model.pattern import letters_of

SMALL = {"d_model": 32, "vocab_size": 50, "attention": {"num_heads": 2}}


def config(**values):
    return ModelConfig.parse(SMALL | values, "preset.yaml")


@pytest.mark.parametrize(
    ("pattern", "letters"),
    [("M", "M"), ("3M*", "MMM*"), ("M*-", "M*-"), ("2M12-*", "MM" + 12 * "-" + "*"), ("M1*", "M*")],
)
def test_digits_repeat_the_letter_after_them(pattern, letters):
    assert letters_of(pattern) == letters


@pytest.mark.parametrize(
    "pattern", ["", "A", "M3", "3", "m*", "M *", "0M", "M0*", "(M*)", "9999M", "600M600*"]
)
def test_what_is_no_pattern_is_refused_with_what_is_allowed(pattern):
    with pytest.raises(UserError, match=r"pattern: .*(allowed: M|1 to 1000 layers)"):
        config(n_layer=4, pattern=pattern)


def test_a_pattern_is_repeated_until_there_are_as_many_layers():
    assert config(n_layer=6, pattern="2M*", ssm="mamba2").layers == 2 * ("mamba2", "mamba2", "attention")
    with pytest.raises(
        UserError, match=r"n_layer \(5\) must be a multiple of the pattern's 3 layers \(2M\*\)"
    ):
        config(n_layer=5, pattern="2M*")


def test_an_mlp_is_in_the_pattern_or_after_each_mixer():
    after = config(n_layer=2, d_intermediate=48)
    own = config(n_layer=2, d_intermediate=48, pattern="M-")
    assert (after.mlp_after_mixer, after.residual_additions) == (True, 4)
    assert (own.mlp_after_mixer, own.residual_additions) == (False, 2)
    with pytest.raises(UserError, match="has MLPs, so d_intermediate must say how wide"):
        config(n_layer=2, pattern="M-")


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"ssm": "mamba2", "headdim": 24}, r"expand \* d_model \(64\) must be a multiple of headdim \(24\)"),
        ({"ssm": "mamba2", "headdim": 16, "ngroups": 3}, r"4 heads must be a multiple of ngroups \(3\)"),
        ({"dt_limit": [0.2, 0.1]}, "dt_limit: 0.2 must not exceed 0.1"),
        ({"pattern": "*", "attention": {"num_heads": 5}}, r"d_model \(32\) must be an even multiple"),
        (
            {"attention": {"num_heads": 4, "num_heads_kv": 3}},
            r"num_heads \(4\) must be a multiple of .*\(3\)",
        ),
        ({"attention": {"head_dim": 7}}, "attention.head_dim: found 7"),
        ({"attention": {"heads": 4}}, "attention.heads: unknown key"),
    ],
)
def test_sizes_that_do_not_fit_are_named(values, message):
    with pytest.raises(UserError, match=message):
        config(n_layer=2, **values)
