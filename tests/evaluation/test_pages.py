from bhasa.evaluation.figures import Text
from bhasa.evaluation.pages import as_markdown
from bhasa.evaluation.report import Report


def page_of(*texts: tuple[str, str, str], **context) -> str:
    return as_markdown(Report(models={"base": "ab" * 32}, context=context, texts=[Text(*t) for t in texts]))


def test_a_page_shows_each_prompt_with_its_texts_side_by_side():
    page = page_of(
        ("def f", "base", "(x):"),
        ("Why?", "base", "No."),
        ("def f", "finetuned", "():"),
        ("Why?", "finetuned", "Yes."),
        sampling={"seed": 7},
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
    assert "Written by base abababababab; seed 7." in page


def test_a_text_cannot_end_its_own_fence():
    page = page_of(("p", "base", "a\n````\n# not a heading"))
    assert "\n`````text\na\n````\n# not a heading\n`````\n" in page
