from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from bhasa import bundle
from bhasa.errors import UserError
from bhasa.export.comparison import compare, missed_gates, read_prompt
from bhasa.export.config import ExportConfig

LOGITS = np.log(np.array([[0.5, 0.25, 0.25], [0.25, 0.5, 0.25]], np.float32))
IDS = [0, 1]


def test_a_model_is_no_distance_from_itself() -> None:
    comparison = compare(LOGITS, LOGITS, IDS)
    assert (comparison.max_logit_difference, comparison.mean_kl, comparison.same_argmax) == (0, 0, 1)
    assert comparison.perplexity == comparison.source_perplexity == pytest.approx(4)


def test_figures_by_hand() -> None:
    other = np.log(np.array([[0.25, 0.5, 0.25], [0.25, 0.5, 0.25]], np.float32))
    comparison = compare(LOGITS, other, IDS)
    assert comparison.max_logit_difference == pytest.approx(np.log(2))
    assert comparison.relative_logit_difference == pytest.approx(0.5)
    assert comparison.mean_kl == pytest.approx((0.5 * np.log(2) - 0.25 * np.log(2)) / 2)
    assert comparison.same_argmax == 0.5
    assert comparison.perplexity_increase == pytest.approx(-50)


def test_a_shift_of_all_logits_changes_no_prediction() -> None:
    comparison = compare(LOGITS, LOGITS + 3, IDS)
    assert comparison.mean_kl == pytest.approx(0, abs=1e-6)
    assert comparison.max_logit_difference == pytest.approx(3)


@pytest.mark.parametrize("exact", [True, False])
def test_nan_misses_every_gate(exact: bool) -> None:
    comparison = compare(LOGITS, np.full_like(LOGITS, np.nan), IDS)
    misses = missed_gates(comparison, ExportConfig(), exact=exact)
    assert len(misses) == (1 if exact else 2)
    assert all("is nan" in miss for miss in misses)


def test_a_gate_names_figure_limit_and_key() -> None:
    comparison = compare(LOGITS, LOGITS + 1, IDS)
    (miss,) = missed_gates(comparison, ExportConfig(max_logit_difference=0.5), exact=True)
    assert miss == "max_logit_difference is 0.721, allowed is 0.5"


def test_the_prompt_is_the_start_of_the_first_document_long_enough(
    documents: Path, tokenizer_folder: Path
) -> None:
    tokenizer = bundle.load_tokenizer(tokenizer_folder)
    prompt = read_prompt(documents, tokenizer, 50)
    assert prompt.text.startswith("The river")
    assert abs(len(prompt.ids) - 50) <= 2
    assert prompt.ids == [0, *tokenizer.encode(prompt.text, add_special_tokens=False).ids]


def test_the_longest_document_stands_in_when_none_is_long_enough(
    documents: Path, tokenizer_folder: Path
) -> None:
    prompt = read_prompt(documents, bundle.load_tokenizer(tokenizer_folder), 100_000)
    assert prompt.text.endswith("both. ")


def test_a_test_split_without_text_is_the_users_to_mend(tmp_path: Path, tokenizer_folder: Path) -> None:
    empty = pa.table({"text": pa.array([], pa.string()), "bytes": pa.array([], pa.int64())})
    pq.write_table(empty, tmp_path / "test-00000.parquet")
    with pytest.raises(UserError, match=r"holds no text; add documents"):
        read_prompt(tmp_path, bundle.load_tokenizer(tokenizer_folder), 50)
