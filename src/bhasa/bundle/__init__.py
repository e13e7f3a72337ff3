"""The model folder: what passes between stages and what users receive or bring.

For pure Mamba-1 and pure Mamba-2 models (no MLP, no LayerNorm) the folder *is* the Hugging Face layout of
`MambaForCausalLM` or `Mamba2ForCausalLM` and opens there with no code of ours: `config.json`,
`model.safetensors` under the published names, tokenizer, `generation_config.json`, a model card, and
`provenance.json`. Others keep the same frame under `model_type: bhasa`. The folders of state-spaces/mamba,
sharded ones and those with a `pytorch_model.bin` are read too. Nothing here is ever written as a pickle.
"""

from bhasa.bundle.conversion import LAYOUTS, convert
from bhasa.bundle.folder import PROVENANCE, TOKENIZER, load, load_tokenizer, save
from bhasa.bundle.published import from_published, is_published_layout, to_published
from bhasa.bundle.reading import CONFIG, read_config
from bhasa.bundle.weights import WEIGHTS, weights_sha256

__all__ = [
    "CONFIG",
    "LAYOUTS",
    "PROVENANCE",
    "TOKENIZER",
    "WEIGHTS",
    "convert",
    "from_published",
    "is_published_layout",
    "load",
    "load_tokenizer",
    "read_config",
    "save",
    "to_published",
    "weights_sha256",
]
