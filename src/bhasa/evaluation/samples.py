"""The measure `samples`: what a model makes of fixed prompts, to be read beside another's."""

from bhasa.evaluation.figures import Figures, Text
from bhasa.evaluation.subject import Subject
from bhasa.inference import text
from bhasa.inference.chat import ChatSession
from bhasa.inference.generate import generate


def samples(subject: Subject) -> Figures:
    """Each prompt continued as a document; by a model that chats, also answered in a conversation."""
    prompts = subject.config.prompts
    texts = [Text(prompt, subject.name, _continuation(subject, prompt)) for prompt in prompts]
    if subject.chats:
        texts += [Text(prompt, f"{subject.name}, in a chat", _reply(subject, prompt)) for prompt in prompts]
    return Figures(texts=texts)


def _continuation(subject: Subject, prompt: str) -> str:
    """Without the prompt."""
    ids = generate(
        subject.model,
        text.document_ids(subject.tokenizer, prompt),
        subject.config.sampling,
        stop_ids=text.special_ids(subject.tokenizer),
    )
    return "".join(text.stream(subject.tokenizer, ids))


def _reply(subject: Subject, prompt: str) -> str:
    return "".join(ChatSession(subject.model, subject.tokenizer, subject.config.sampling).reply(prompt))
