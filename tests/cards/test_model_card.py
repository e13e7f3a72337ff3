import pytest
from ruamel.yaml import YAML

from bhasa.cards import model_card
from bhasa.model.config import ModelConfig

CONFIG = ModelConfig(d_model=24, n_layer=2, vocab_size=280)


def page(layout="transformers", **provenance):
    return model_card(CONFIG, parameters=1234, layout=layout, provenance=provenance, file="provenance.json")


@pytest.mark.parametrize(
    ("provenance", "origin"),
    [
        ({"pretrain": {"steps": 5}}, "trained by bhasa 3"),
        ({"pretrain": {"steps": 5}, "init_from_sha256": "ab"}, "trained further by bhasa 3"),
        ({"pretrain": {"steps": 0}, "init_from_sha256": "ab"}, "taken over by bhasa 3 as it was"),
        ({"finetune": {"steps": 5}}, "fine-tuned by bhasa 3"),
        ({"seed": 1}, "written by bhasa 3"),
    ],
)
def test_it_says_what_was_done_to_the_weights(provenance, origin):
    assert f"1,234 parameters, {origin}. " in page(**provenance, bhasa="3")


@pytest.mark.parametrize(
    ("layout", "opener"),
    [
        ("transformers", "AutoModelForCausalLM"),
        ("mamba-ssm", "MambaLMHeadModel"),
        ("bhasa", "bhasa generate"),
    ],
)
def test_its_head_names_the_library_that_opens_it(layout, opener):
    head, text = page(layout).removeprefix("---\n").split("---\n", 1)
    assert YAML(typ="safe").load(head) == {
        "library_name": layout,
        "pipeline_tag": "text-generation",
        "tags": ["mamba"],
    }
    assert opener in text


def test_without_provenance_no_file_is_named():
    assert "provenance.json" not in page()
    assert "provenance.json" in page(seed=1)
