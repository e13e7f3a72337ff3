"""The `bhasa` command: one line per verb. A verb's module is imported when the verb is called."""

import errno
import importlib
import os
import re
import sys
from typing import NoReturn

VERBS = {
    "ingest": ("bhasa.stages.ingest", "Stage 1: read, clean and split the documents."),
    "tokenize": ("bhasa.stages.tokenize", "Stage 2: train the tokenizer and encode everything."),
    "pretrain": ("bhasa.stages.pretrain", "Stage 3: train the base model."),
    "finetune": ("bhasa.stages.finetune", "Stage 4: tune the base on conversations with LoRA."),
    "evaluate": ("bhasa.stages.evaluate", "Stage 5: measure both models and write samples."),
    "export": ("bhasa.stages.export", "Stage 6: write, read back and compare the export formats."),
    "generate": ("bhasa.tools.generate", "Continue a prompt."),
    "chat": ("bhasa.tools.chat", "Talk with the tuned model."),
    "convert": ("bhasa.tools.convert", "Write a model folder in another layout."),
    "report": ("bhasa.tools.report", "Show what the last run measured."),
    "inspect": ("bhasa.tools.inspect", "Show what a model is made of."),
    "doctor": ("bhasa.tools.doctor", "Show what this machine runs, and what is missing."),
    "bench": (
        "bhasa.tools.bench",
        "Measure the program's speed on this machine, beside the machine's limits.",
    ),
    "check": ("bhasa.tools.check", "Check params.yaml and the presets it chooses."),
}

_UNWRITTEN = {
    errno.ENOSPC: ("no room left on the disk", "Make room"),
    errno.EDQUOT: ("no room left in the quota of this user", "Make room"),
    errno.EFBIG: ("a file grew larger than this disk or `ulimit -f` allows", "Raise that limit"),
}


def main() -> None:
    """Run the verb named on the command line; the process's exit code is its result."""
    verb = sys.argv[1] if len(sys.argv) > 1 else "--help"
    if verb in VERBS:
        _run(verb)
    elif verb in ("--help", "-h"):
        print(_help())
    elif verb == "--version":
        import bhasa

        print(f"bhasa {bhasa.__version__}")
    else:
        import difflib

        close = difflib.get_close_matches(verb, VERBS, n=1)
        hint = f", did you mean '{close[0]}'" if close else ""
        _fail(f"no command '{verb}'{hint}; there are: {', '.join(VERBS)}", 2)


def _run(verb: str) -> None:
    import typer

    # Idle threads spin for microseconds, not milliseconds: as fast, and 10 times faster on busy cores.
    os.environ.setdefault("GOMP_SPINCOUNT", "2000")
    arguments = [argument for argument in sys.argv[2:] if argument != "--debug"]
    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    app.command()(importlib.import_module(VERBS[verb][0]).command)
    try:
        app(args=arguments, prog_name=f"bhasa {verb}")
    except Exception as error:
        explained = _explain(error)
        if explained is None or "--debug" in sys.argv:
            raise
        _fail(*explained)
    except KeyboardInterrupt:
        _fail("stopped", 130)


def _explain(error: Exception) -> tuple[str, int] | None:
    """One message for a person, and the exit code; None for what only a fault of bhasa can raise."""
    from bhasa.errors import BhasaError

    if isinstance(error, BhasaError):
        return str(error), error.exit_code
    if (number := _write_failure(error)) in _UNWRITTEN:
        what, remedy = _UNWRITTEN[number]
        return f"{what}{_place(error)}; what stood there is whole. {remedy} and run again", 1
    if isinstance(error, OSError):
        return f"{error.filename or 'system'}: {error.strerror or error}", 1
    if _no_memory(error):
        return "not enough memory; choose a smaller model.size or a hardware.profile of less micro_batch", 1
    return None


def _write_failure(error: Exception) -> int | None:
    """The error number; NumPy and the libraries written in Rust have it in their text or not at all."""
    if isinstance(error, OSError) and error.errno:
        return error.errno
    if re.search(r"\d+ requested and \d+ written", str(error)):
        return errno.ENOSPC
    found = re.search(r"\(os error (\d+)\)", str(error))
    return int(found[1]) if found else None


def _place(error: Exception) -> str:
    path = isinstance(error, OSError) and (error.filename2 or error.filename)  # a copy names its source first
    return f" for {path}" if path else ""


def _no_memory(error: Exception) -> bool:
    from_torch = ("out of memory", "can't allocate memory")  # in a RuntimeError: of a GPU, of the host
    return isinstance(error, MemoryError) or any(words in str(error) for words in from_torch)


def _fail(message: str, code: int) -> NoReturn:
    print(f"error: {message}", file=sys.stderr)
    if "DVC_STAGE" in os.environ:
        # DVC clears a stage's outputs before it starts the stage.
        print("`dvc checkout` brings back this stage's last good outputs", file=sys.stderr)
    sys.exit(code)


def _help() -> str:
    width = max(map(len, VERBS))
    verbs = "\n".join(f"  {verb:<{width}}  {line}" for verb, (_, line) in VERBS.items())
    return (
        "usage: bhasa VERB [OPTIONS]\n\n"
        "A folder of documents becomes a Mamba language model. `dvc repro` runs stages 1 to 6.\n\n"
        f"{verbs}\n\n"
        "`bhasa VERB --help` shows a verb's options; --debug shows where an error arose."
    )
