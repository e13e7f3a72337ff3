from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from bhasa import bundle
from bhasa.errors import UserError
from bhasa.export import comparison
from bhasa.export.comparison import Comparison, Prompt, compare, missed_gates, read_prompts
from bhasa.export.targets import Runtime

LOGITS = np.log(np.array([[0.5, 0.25, 0.25], [0.25, 0.5, 0.25]], np.float32))
OTHER = np.log(np.array([[0.25, 0.5, 0.25], [0.25, 0.5, 0.25]], np.float32))
IDS = [0, 1]


@pytest.fixture
def between(monkeypatch: pytest.MonkeyPatch):
    """Compares logits given for each document."""

    def make(*documents: tuple[np.ndarray, np.ndarray]) -> Comparison:
        sources, targets = (iter(logits) for logits in zip(*documents, strict=True))
        monkeypatch.setattr(comparison, "source_logits", lambda model, ids: next(sources))
        runtime = Runtime("test", encode=lambda text: [], logits=lambda ids: next(targets))
        return compare(None, runtime, [Prompt("", IDS)] * len(documents))  # type: ignore[arg-type]

    return make


def test_a_model_is_no_distance_from_itself(between) -> None:
    found = between((LOGITS, LOGITS))
    assert (found.max_logit_difference, found.mean_kl, found.max_kl, found.same_argmax) == (0, 0, 0, 1)
    assert found.perplexity == found.source_perplexity == pytest.approx(4)


def test_figures_by_hand(between) -> None:
    found = between((LOGITS, OTHER))
    assert found.max_logit_difference == pytest.approx(np.log(2))
    assert found.logit_difference == pytest.approx(0.5)
    assert found.max_kl == pytest.approx(0.5 * np.log(2) - 0.25 * np.log(2))
    assert found.mean_kl == pytest.approx(found.max_kl / 2)
    assert found.same_argmax == 0.5
    assert found.perplexity_increase == pytest.approx(-50)


def test_all_documents_count_alike_by_their_tokens(between) -> None:
    found = between((LOGITS, LOGITS), (LOGITS, OTHER), (LOGITS, LOGITS))
    alone = between((LOGITS, OTHER))
    assert found.mean_kl == pytest.approx(alone.mean_kl / 3)
    assert found.max_kl == alone.max_kl
    assert found.same_argmax == pytest.approx(5 / 6)
    assert found.perplexity == pytest.approx((4 * 2 * 4) ** (1 / 3))  # no loss after a document's last token


def test_a_shift_of_all_logits_changes_no_prediction(between) -> None:
    found = between((LOGITS, LOGITS + 3))
    assert found.mean_kl == pytest.approx(0, abs=1e-6)
    assert found.max_logit_difference == pytest.approx(3)


def test_nan_misses_every_gate(between) -> None:
    found = between((LOGITS, LOGITS), (LOGITS, np.full_like(LOGITS, np.nan)))
    limits = {"logit_difference": 9.0, "mean_kl": 9.0, "perplexity_increase": 9.0}
    misses = missed_gates(found, limits)
    assert len(misses) == 3
    assert all("is nan" in miss for miss in misses)


def test_a_gate_names_figure_and_limit(between) -> None:
    (miss,) = missed_gates(between((LOGITS, LOGITS + 1)), {"logit_difference": 0.5})
    assert miss == ("logit_difference is 0.721, at most 0.5 is allowed")


def test_prompts_are_the_beginnings_of_the_first_documents(documents: Path, tokenizer_folder: Path) -> None:
    tokenizer = bundle.load_tokenizer(tokenizer_folder)
    short, long = read_prompts(documents, tokenizer, documents=5, tokens=50)
    assert short.text == "Too short."
    assert long.text.startswith("The river")
    assert abs(len(long.ids) - 50) <= 2
    for prompt in (short, long):
        assert prompt.ids == [0, *tokenizer.encode(prompt.text, add_special_tokens=False).ids]
    assert read_prompts(documents, tokenizer, documents=1, tokens=50) == [short]


def test_of_a_long_document_only_the_beginning_is_encoded(tokenizer_folder: Path, monkeypatch) -> None:
    tokenizer, read = bundle.load_tokenizer(tokenizer_folder), []
    text = "One word after another. " * 10_000

    class Recording:
        def encode(self, text: str, **options: bool) -> object:
            read.append(len(text))
            return tokenizer.encode(text, **options)

    monkeypatch.setattr(comparison, "read_documents", lambda folder, split: [SimpleNamespace(text=text)])
    (prompt,) = read_prompts(Path(), Recording(), documents=1, tokens=50)  # type: ignore[arg-type]
    assert len(prompt.ids) == 50
    assert text.startswith(prompt.text)
    assert max(read) < 10_000


def test_a_document_shorter_than_asked_for_is_read_whole(documents: Path, tokenizer_folder: Path) -> None:
    _, whole = read_prompts(documents, bundle.load_tokenizer(tokenizer_folder), documents=2, tokens=100_000)
    assert whole.text.endswith("both. ")


def test_a_test_split_without_text_is_the_users_to_mend(tmp_path: Path, tokenizer_folder: Path) -> None:
    empty = pa.table({"text": pa.array([], pa.string()), "bytes": pa.array([], pa.int64())})
    pq.write_table(empty, tmp_path / "test-00000.parquet")
    with pytest.raises(UserError, match=r"holds no text; add documents"):
        read_prompts(tmp_path, bundle.load_tokenizer(tokenizer_folder), documents=2, tokens=50)
