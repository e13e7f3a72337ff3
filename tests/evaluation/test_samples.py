from bhasa.evaluation.samples import as_markdown


def test_a_page_shows_each_prompt_with_its_texts_side_by_side():
    samples = [
        {"prompt": "def f", "base": "(x):", "finetuned": "():"},
        {"prompt": "Why?", "base": "No.", "finetuned": "Yes."},
    ]
    page = as_markdown(samples, "Drawn with seed 7.")
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
    page = as_markdown([{"prompt": "p", "base": "a\n````\n# not a heading"}], "")
    assert "\n`````text\na\n````\n# not a heading\n`````\n" in page
