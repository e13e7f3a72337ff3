"""Reading a prompt: the program beside transformers, both with the same random weights."""

from benchmarks import options, peers
from bhasa.measure import limits, workloads
from bhasa.measure.table import Row
from bhasa.model.config import ModelConfig
from bhasa.model.language_model import build

TITLE = "Reading a prompt, batch 1, to the logits of its last token"
CASES = {"130m, 2048 tokens": (workloads.OFFICIAL_130M, 2048)}
QUICK = {"tiny": (ModelConfig(d_model=32, n_layer=2, vocab_size=64), 48)}
CHECKED = 32  # tokens whose logits are compared


def measure(given: options.Options) -> tuple[dict[str, float], list[Row]]:
    rows, rates = [], {}
    for case, (config, length) in (QUICK if given.quick else CASES).items():
        model = build(config, seed=0).eval()
        peer = peers.transformers_model(model).eval()
        errors = {
            "bhasa": peers.logits_error(model, model, CHECKED),
            "transformers": peers.logits_error(peer, model, CHECKED),
        }
        rates |= limits.machine_rates(model, length)
        least = 2 * limits.layer_parameters(model) * length / limits.fastest_products(rates)
        ids = workloads.SameBatch(1, length, config.vocab_size).all.inputs[0].tolist()
        timings = given.timed(
            {"bhasa": workloads.prefill(model, ids), "transformers": peers.transformers_prefill(peer, ids)}
        )
        rows += [
            Row(case, name, timing, least, length / timing.median, "tokens/s", errors[name])
            for name, timing in timings.items()
        ]
    return rates, rows


if __name__ == "__main__":
    options.main("prefill", TITLE, measure)
