"""Whatever a config.json holds, it gives an architecture or one message."""

from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bhasa import bundle
from bhasa.bundle.official import to_official
from bhasa.bundle.published import to_published
from bhasa.bundle.reading import config_of
from bhasa.errors import FileError, UserError
from bhasa.model.config import ModelConfig
from bhasa.model.language_model import outline

CONFIGS = [
    ModelConfig(d_model=24, n_layer=2, vocab_size=80, d_state=5),
    ModelConfig(d_model=24, n_layer=2, vocab_size=80, ssm="mamba2", headdim=8, ngroups=3, d_state=5),
    ModelConfig(d_model=24, n_layer=2, vocab_size=80, d_intermediate=128, ssm="mamba2", headdim=8),
]
FILES = [write(config) for config in CONFIGS for write in (to_published, to_official)]
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 300) | st.floats() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=3,
)


def shapes_of(config):
    return {name: tuple(tensor.shape) for name, tensor in outline(config).state_dict().items()}


def outcome(file, shapes):
    """The config or the message; any other exception is a failure."""
    try:
        return str(config_of(file, "config.json", shapes))
    except UserError as error:
        return str(error)


@given(file=st.sampled_from(FILES), data=st.data(), with_shapes=st.booleans())
def test_any_value_of_any_key_gives_a_config_or_one_message(file, data, with_shapes):
    key = data.draw(st.sampled_from(sorted(file)))
    shapes = shapes_of(CONFIGS[FILES.index(file) // 2]) if with_shapes else {}
    assert outcome(file | {key: data.draw(VALUES)}, shapes).startswith(("config.json: ", "d_model="))


@given(file=st.sampled_from(FILES), data=st.data())
def test_shapes_of_any_kind_give_a_config_or_one_message(file, data):
    names = sorted(shapes_of(CONFIGS[1]) | shapes_of(CONFIGS[0]))
    dims = st.lists(st.integers(0, 60), max_size=3).map(tuple)
    shapes = data.draw(st.dictionaries(st.sampled_from(names), dims, max_size=8))
    assert outcome(file, shapes).startswith(("config.json: ", "d_model="))


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.get("model_type", "official"))
def test_a_file_that_agrees_with_its_tensors_is_read_without_a_word(file, capsys):
    config = CONFIGS[FILES.index(file) // 2]
    found = config_of(file, "config.json", shapes_of(config))
    assert found.model_copy(update={"dt_rank": "auto"}) == config
    assert capsys.readouterr().err == ""


KINDS = [("adapter_config.json", "an adapter"), ("decode.json", "an ONNX export")]


@pytest.mark.parametrize(("file", "kind"), KINDS)
def test_a_folder_of_another_kind_is_named_as_what_it_is(tmp_path, file, kind):
    (tmp_path / file).write_text("{}")
    to_official = partial(bundle.convert, target=tmp_path / "x", layout="official")
    for read in (bundle.read_config, bundle.load, to_official):
        with pytest.raises(UserError, match=f"{kind}, not a model; give the ") as raised:
            read(tmp_path)
        assert not isinstance(raised.value, FileError)  # which running the pipeline again would not mend
