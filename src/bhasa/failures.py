"""From any exception to one message for a person and an exit code.

Errors of the library say what is wrong and where. What to run again is added here, and only where the file
is an output of a stage of the pipeline in the current folder: elsewhere the advice would be wrong.
"""

import errno
import re
from pathlib import Path

from bhasa.errors import BhasaError, FileError, UserError

_NOT_WRITTEN = {
    errno.ENOSPC: ("no room left on the disk", "Make room"),
    errno.EDQUOT: ("no room left in the quota of this user", "Make room"),
    errno.EFBIG: ("a file grew larger than this disk or `ulimit -f` allows", "Raise that limit"),
}


def explain(error: Exception) -> tuple[str, int] | None:
    """The message and the exit code; None for what only a bug in bhasa can raise."""
    if isinstance(error, FileError) and (restore := _restore(error.path, Path("dvc.yaml"))):
        return f"{error}; `dvc repro` makes it again, `{restore}` restores the last one", error.exit_code
    if isinstance(error, BhasaError):
        return str(error), error.exit_code
    if (number := _write_failure(error)) in _NOT_WRITTEN:
        what, remedy = _NOT_WRITTEN[number]
        return f"{what}{_place(error)}; what stood there is whole. {remedy} and run again", 1
    if isinstance(error, OSError):
        return f"{error.filename or 'system'}: {error.strerror or error}", 1
    if _no_memory(error):
        return "not enough memory; a smaller model, or a hardware profile of less micro_batch, needs less", 1
    return None


def _restore(path: Path, pipeline: Path) -> str | None:
    """The command that restores `path`, if it is, or lies in, what a stage of the pipeline writes."""
    from bhasa.params import read_mapping

    try:
        stages = read_mapping(pipeline)["stages"].values()
        kinds = ("outs", "metrics", "plots")
        entries = [entry for stage in stages for kind in kinds for entry in stage.get(kind, ())]
    except (UserError, KeyError, AttributeError):  # no pipeline here, or not one of ours
        return None
    for entry in entries:
        name, options = (entry, {}) if isinstance(entry, str) else next(iter(entry.items()))
        if Path(name).absolute() in (path.absolute(), *path.absolute().parents):
            return "dvc checkout" if options.get("cache", True) else f"git checkout {name}"
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
