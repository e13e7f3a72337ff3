"""The page of an adapter folder."""

from collections.abc import Sequence

_ANYWHERE = """from peft import PeftModel
from transformers import AutoModelForCausalLM

base = AutoModelForCausalLM.from_pretrained("{base}")
model = PeftModel.from_pretrained(base, "<this folder>")"""

_WITH_BHASA = """from pathlib import Path

from bhasa import bundle
from peft import PeftModel

model = PeftModel.from_pretrained(bundle.load(Path("{base}")), "<this folder>")"""

_BHASA_ALONE = (
    "Only bhasa opens it: transformers has no class for the architecture, or that class bypasses one of "
    "these adapters, or peft refuses it there. The model with the adapter merged opens where its base does."
)


def adapter_card(kind: str, projections: Sequence[str], *, base: str, portable: bool) -> str:
    """Markdown. `portable`: peft on transformers' class of the base gives the same numbers."""
    code = (_ANYWHERE if portable else _WITH_BHASA).format(base=base)
    remark = "" if portable else f" {_BHASA_ALONE}"
    return (
        f"---\nlibrary_name: peft\npipeline_tag: text-generation\ntags:\n- {kind.lower()}\n---\n"
        f"# A {kind} adapter for a Mamba language model\n\n"
        f"For the model folder `{base}`: its projections {', '.join(projections)}, and the embedding's rows "
        f"of the special tokens.{remark}\n\n```python\n{code}\n```\n"
    )
