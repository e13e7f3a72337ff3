from bhasa.evaluation.samples import as_markdown
from bhasa.inference.config import SamplingConfig


def test_a_page_shows_each_prompt_with_its_texts_side_by_side():
    page = as_markdown(
        ["def f", "Why?"], {"base": ["(x):", "No."], "finetuned": ["():", "Yes."]}, SamplingConfig(seed=7)
    )
    headings = [line for line in page.splitlines() if line.startswith("#")]
    assert headings == [
        "# Samples",
        "## Prompt 1",
        "### base",
        "### finetuned",
        "## Prompt 2",
        "### base",
        "### finetuned",
    ]
    order = ["def f", "(x):", "():", "Why?", "No.", "Yes."]
    assert [page.index(f"\n{text}\n") for text in order] == sorted(
        page.index(f"\n{text}\n") for text in order
    )
    assert "seed 7" in page


def test_a_text_cannot_end_its_own_fence():
    page = as_markdown(["p"], {"base": ["a\n````\n# not a heading"]}, SamplingConfig())
    assert "\n`````text\na\n````\n# not a heading\n`````\n" in page
