"""The page that a model folder shows where it is published."""

import bhasa
from bhasa.bundle.published import is_published_layout
from bhasa.model.description import describe_layers
from bhasa.model.language_model import LanguageModel


def card(model: LanguageModel, provenance: str) -> str:
    """Markdown; `provenance` is the name of the file that says what the model was made from."""
    config = model.config
    opens_with = (
        '`transformers.AutoModelForCausalLM.from_pretrained("<this folder>")`'
        if is_published_layout(config)
        else "`bhasa generate --model <this folder>` (transformers has no such architecture)"
    )
    rows = "\n".join(f"| {key} | {value} |" for key, value in config.as_mapping().items())
    return (
        "---\nlibrary_name: transformers\npipeline_tag: text-generation\n---\n# A Mamba language model\n\n"
        f"{model.num_parameters():,} parameters, trained by bhasa {bhasa.__version__}. "
        f"Open it with {opens_with}.\n"
        f"What it was made from is in `{provenance}`.\n\n"
        f"```text\nembedding -> {describe_layers(config)} -> norm -> output\n```\n\n"
        f"| architecture | |\n| --- | --- |\n{rows}\n"
    )
