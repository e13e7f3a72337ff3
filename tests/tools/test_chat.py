import typer
from typer.testing import CliRunner

from bhasa import bundle
from bhasa.errors import UserError
from bhasa.inference.chat import ChatSession
from bhasa.inference.config import SamplingConfig
from bhasa.inference.generate import Decoder
from bhasa.tokens.chat import START, question
from bhasa.tools import chat

app = typer.Typer()
app.command()(chat.command)

GREEDY = SamplingConfig(temperature=0.0, max_new_tokens=8)


def talk(model_folder, lines, *arguments):
    greedy = ("--temperature", "0", "--max-new-tokens", "8")
    return CliRunner().invoke(app, ["--model", str(model_folder), *greedy, *arguments], input=lines)


def session(model_folder):
    return ChatSession(bundle.load(model_folder), bundle.load_tokenizer(model_folder), GREEDY)


def test_every_line_is_answered_until_the_input_ends(model_folder):
    result = talk(model_folder, "the cat\n\n  \nwhy\n")
    expected = session(model_folder)
    answers = ["".join(expected.reply(message)) for message in ("the cat", "why")]
    assert result.exit_code == 0, result.output
    assert result.stdout == "".join(f"{answer}\n" for answer in answers)
    assert all(answers)


def test_quit_leaves_at_once(model_folder):
    assert talk(model_folder, "/quit\nthe cat\n").stdout == ""


def test_reset_starts_anew(model_folder, monkeypatch):
    read = []
    original = Decoder.next_logits
    monkeypatch.setattr(Decoder, "next_logits", lambda self: read.append(list(self.unread)) or original(self))
    talk(model_folder, "the cat\n/reset\nwhy\n")
    tokenizer = bundle.load_tokenizer(model_folder)
    prompts = [[*START, *question(tokenizer, message)] for message in ("the cat", "why")]
    assert [ids for ids in read if len(ids) > 1] == prompts


def test_retry_answers_the_last_message_again(model_folder):
    answer = talk(model_folder, "the cat\n").stdout
    assert talk(model_folder, "the cat\n/retry\n").stdout == 2 * answer


def test_retry_before_any_message_explains_itself_and_goes_on(model_folder):
    result = talk(model_folder, "/retry\nthe cat\n")
    assert result.exit_code == 0
    assert result.stdout.startswith("there is no answer to try again yet")
    assert result.stdout.endswith(talk(model_folder, "the cat\n").stdout)


def test_an_interrupt_ends_the_answer_and_not_the_conversation(model_folder, monkeypatch, capsys):
    conversation = session(model_folder)
    echoed = []

    def interrupted(text="", nl=True):
        echoed.append(text)
        if len(echoed) == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr(typer, "echo", interrupted)
    chat._answer(conversation, "the cat")
    assert len(echoed) == 3  # two pieces, then the end of the line
    chat._answer(conversation, "why")
    assert len(echoed) > 4


def test_input_that_is_not_text_is_refused(model_folder):
    error = talk(model_folder, b"caf\xe9\n").exception
    assert isinstance(error, UserError)
    assert "standard input: not UTF-8 text" in str(error)


def test_an_unknown_command_is_refused_with_the_list_and_is_no_message(model_folder):
    result = talk(model_folder, "/foo bar\n/help\nthe cat\n")
    assert result.exit_code == 0
    first, second, answer = result.stdout.splitlines()
    assert first.startswith("no command /foo; there are: /retry, /reset, /help, /quit")
    assert second == chat.HELP
    assert f"{answer}\n" == talk(model_folder, "the cat\n").stdout


def test_a_message_may_begin_with_a_slash(model_folder):
    assert talk(model_folder, "//foo\n").stdout == "".join(session(model_folder).reply("/foo")) + "\n"


def test_a_device_that_is_not_there_is_refused(model_folder):
    error = talk(model_folder, "the cat\n", "--device", "abacus").exception
    assert isinstance(error, UserError)
    assert "--device: found 'abacus'; allowed on this machine: auto, cpu" in str(error)
    assert talk(model_folder, "the cat\n", "--device", "cpu").stdout == talk(model_folder, "the cat\n").stdout
