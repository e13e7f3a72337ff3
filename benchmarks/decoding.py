"""Writing one text greedily: the program beside transformers, both with the same random weights."""

from pathlib import Path

from benchmarks import options, peers
from bhasa.measure import limits, workloads
from bhasa.measure.table import Row
from bhasa.model.config import ModelConfig
from bhasa.model.language_model import build

TITLE = "Writing one text, greedily"
TINY = Path(__file__).parents[1] / "pipeline" / "model" / "tiny.yaml"
VOCABULARY = 4096  # of the default experiment
PROMPT, NEW_TOKENS, CHECKED = 16, 32, 32


def measure(given: options.Options) -> tuple[dict[str, float], list[Row]]:
    tiny = ModelConfig.load(TINY).model_copy(update={"vocab_size": VOCABULARY})
    cases = {"tiny": tiny} if given.quick else {"tiny": tiny, "130m": workloads.OFFICIAL_130M}
    rates: dict[str, float] = {}
    rows: list[Row] = []
    for case, config in cases.items():
        rows += _case(given, case, config, rates)
    return rates, rows


def _case(given: options.Options, case: str, config: ModelConfig, rates: dict[str, float]) -> list[Row]:
    """Adds the limit of this model's size to `rates`."""
    model = build(config, seed=0).eval()
    peer = peers.transformers_model(model).eval()
    errors = {
        "bhasa": peers.logits_error(model, model, CHECKED),
        "transformers": peers.logits_error(peer, model, CHECKED),
    }
    size = limits.weight_bytes(model)
    reading = limits.read_rate(size, config.d_model)
    rates[f"matrix-vector of {size / 1e6:,.0f} MB"] = reading
    prompt = workloads.SameBatch(1, PROMPT, config.vocab_size).all.inputs[0].tolist()
    timings = given.timed(
        {
            "bhasa": workloads.decoding(model, prompt, NEW_TOKENS),
            "transformers": peers.transformers_decoding(peer, prompt, NEW_TOKENS),
        }
    )
    return [
        Row(
            case,
            name,
            timing,
            NEW_TOKENS * size / reading,
            NEW_TOKENS / timing.median,
            "tokens/s",
            errors[name],
        )
        for name, timing in timings.items()
    ]


if __name__ == "__main__":
    options.main("decoding", TITLE, measure)
