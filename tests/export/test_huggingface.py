from pathlib import Path

import pytest
import torch
import transformers

from bhasa import bundle
from bhasa.export import huggingface
from bhasa.export.targets import Source
from bhasa.inference.chat import ChatSession
from bhasa.inference.config import SamplingConfig
from bhasa.inference.generate import generate
from bhasa.inference.text import document_ids, special_ids


# Untied, as an untrained tied model only repeats the last token.
@pytest.mark.parametrize("name", ["untied", "mamba2-groups"])
def test_greedy_text_of_transformers_is_ours(
    name: str, model_folders: dict[str, Path], tmp_path: Path
) -> None:
    model = bundle.load(model_folders[name])
    huggingface.write(Source(model, model_folders[name]), tmp_path / "out")
    prompt = [0, 40, 41, 42]
    ours = list(generate(model, prompt, SamplingConfig(max_new_tokens=20, temperature=0.0)))
    theirs = transformers.AutoModelForCausalLM.from_pretrained(tmp_path / "out", local_files_only=True)
    for _ in range(20):  # not `generate`, which stops at an end token
        ids = torch.tensor([prompt])
        with torch.inference_mode():
            prompt = [*prompt, int(theirs(ids, use_cache=False).logits[0, -1].argmax())]
    assert prompt[4:] == ours
    assert len(set(ours)) > 2  # a text that could have gone otherwise


PROMPTS = [
    "The river",
    " the river",
    "",
    "x",
    "The sea kept\n",
    "account of",
    "12",
    "\u00e9t\u00e9",
    "gave, and ",
    "?",
]


@pytest.mark.parametrize("name", ["untied", "mamba2-groups"])
def test_a_pipeline_of_transformers_writes_what_we_write(name: str, model_folders: dict[str, Path]) -> None:
    folder = model_folders[name]
    model, tokenizer = bundle.load(folder), bundle.load_tokenizer(folder)
    sampling = SamplingConfig(max_new_tokens=20, temperature=0.0)
    theirs = transformers.pipeline("text-generation", model=str(folder), dtype=torch.float32, device="cpu")
    for prompt in PROMPTS:
        written = generate(model, document_ids(tokenizer, prompt), sampling, stop_ids=special_ids(tokenizer))
        # Its Mamba-2 steps otherwise than it scans where there is a `dt_limit`.
        cached = name != "mamba2-groups"
        (answer,) = theirs(
            prompt, max_new_tokens=20, do_sample=False, return_full_text=False, use_cache=cached
        )
        assert answer["generated_text"] == tokenizer.decode(list(written))


def test_a_pipeline_begins_a_conversation_as_a_session_does(model_folders: dict[str, Path]) -> None:
    folder = model_folders["untied"]
    session = ChatSession(
        bundle.load(folder),
        bundle.load_tokenizer(folder),
        SamplingConfig(max_new_tokens=20, temperature=0.0),
    )
    theirs = transformers.pipeline("text-generation", model=str(folder), dtype=torch.float32, device="cpu")
    for message in PROMPTS:
        talk = [{"role": "user", "content": message}]
        (answer,) = theirs(talk, max_new_tokens=20, do_sample=False, return_full_text=False)
        session.reset()
        assert answer["generated_text"] == "".join(session.reply(message))


def test_loading_with_transformers_leaves_every_weight_as_it_was(
    model_folders: dict[str, Path], tmp_path: Path
) -> None:
    model = bundle.load(model_folders["tied"])
    huggingface.write(Source(model, model_folders["tied"]), tmp_path / "out")
    theirs = transformers.AutoModelForCausalLM.from_pretrained(tmp_path / "out", local_files_only=True)
    found = theirs.state_dict()
    changed = [name for name, tensor in model.state_dict().items() if not torch.equal(tensor, found[name])]
    assert not changed


@pytest.mark.parametrize("name", ["mlp", "layer-norm", "attention", "mixed", "hybrid"])
def test_what_transformers_does_not_have_is_opened_here_and_said_so(
    name: str, model_folders: dict[str, Path]
) -> None:
    assert huggingface.read(model_folders[name]).name.startswith("bhasa itself")


def test_reading_is_silent_and_leaves_the_log_level(
    model_folders: dict[str, Path], capfd: pytest.CaptureFixture[str]
) -> None:
    before = transformers.utils.logging.get_verbosity()
    huggingface.read(model_folders["tied"]).logits([0, 5])
    assert capfd.readouterr() == ("", "")
    assert transformers.utils.logging.get_verbosity() == before
