"""Commands for people, beside the pipeline. The options that several of them share are defined here."""

from pathlib import Path
from typing import Annotated

import typer

MAX_NEW_TOKENS = 256
TEMPERATURE = 0.8
TOP_K = 50
TOP_P = 0.95
SEED = 0

ModelFolder = Annotated[Path, typer.Option("--model", help="Model folder, such as models/finetuned.")]
MaxNewTokens = Annotated[int, typer.Option(help="Write at most this many tokens.")]
Temperature = Annotated[
    float, typer.Option(help="Below 1 likelier tokens gain; 0 always takes the likeliest.")
]
TopK = Annotated[int, typer.Option(help="Draw from the k likeliest tokens; 0 keeps all.")]
TopP = Annotated[
    float, typer.Option(help="Draw from the likeliest tokens that hold this share; 1 keeps all.")
]
Seed = Annotated[int, typer.Option(help="The same seed gives the same text.")]
