"""The `bhasa` command: one line per verb, each a function `command` in a module of its own.

These modules import nothing heavy, so that `bhasa --help` and completion answer in a fraction of a second.
"""

import importlib
import os
import sys
from typing import Annotated, NoReturn

import typer

VERBS = {
    "ingest": "bhasa.stages.ingest",
    "tokenize": "bhasa.stages.tokenize",
    "pretrain": "bhasa.stages.pretrain",
    "finetune": "bhasa.stages.finetune",
    "evaluate": "bhasa.stages.evaluate",
    "export": "bhasa.stages.export",
    "speed": "bhasa.stages.speed",
    "generate": "bhasa.tools.generate",
    "chat": "bhasa.tools.chat",
    "convert": "bhasa.tools.convert",
    "report": "bhasa.tools.report",
    "inspect": "bhasa.tools.inspect",
    "doctor": "bhasa.tools.doctor",
    "bench": "bhasa.tools.bench",
    "check": "bhasa.tools.check",
    "promote": "bhasa.tools.promote",
    "ui": "bhasa.tools.ui",
}


def main() -> None:
    """Run the verb named on the command line; the process's exit code is its result."""
    # Idle threads spin for microseconds, not milliseconds: as fast, and 10 times faster on busy cores.
    os.environ.setdefault("GOMP_SPINCOUNT", "2000")
    if "DVC_STAGE" in os.environ:
        from bhasa.signals import stop_with_parent

        stop_with_parent()  # no stage works on when its pipeline was killed
    arguments = [argument for argument in sys.argv[1:] if argument != "--debug"]  # before a verb or after it
    if arguments[:1] == ["help"]:
        arguments = [*arguments[1:], "--help"]
    try:
        _app()(arguments or ["--help"], prog_name="bhasa")
    except Exception as error:
        from bhasa.failures import explain

        explained = explain(error)
        if explained is None or "--debug" in sys.argv:
            raise
        _fail(*explained)


def _app() -> typer.Typer:
    app = typer.Typer(
        callback=_options,
        context_settings={"help_option_names": ["-h", "--help"]},
        pretty_exceptions_enable=False,
        epilog="`bhasa VERB --help` shows the options of a verb.",
        subcommand_metavar="VERB [OPTIONS]",
    )
    for verb, module in VERBS.items():
        panel = "The pipeline: `dvc repro` runs these in order" if ".stages." in module else "Tools"
        app.command(verb, rich_help_panel=panel)(importlib.import_module(module).command)
    return app


def _show_version(wanted: bool) -> None:
    if wanted:
        import bhasa

        typer.echo(f"bhasa {bhasa.__version__}")
        raise typer.Exit


def _options(
    version: Annotated[
        bool,
        typer.Option("--version", help="Show the version and exit.", is_eager=True, callback=_show_version),
    ] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show where an error arose.")] = False,
) -> None:
    """A folder of documents becomes a trained, tuned, measured and exported Mamba language model."""


def _fail(message: str, code: int) -> NoReturn:
    print(f"error: {message}", file=sys.stderr)
    if "DVC_STAGE" in os.environ:
        # DVC clears a stage's outputs before it starts the stage.
        print("`make reset` brings back the last commit's params, outputs and reports", file=sys.stderr)
    sys.exit(code)
