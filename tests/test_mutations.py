"""Two thousand wrong `params.yaml`: each is refused by one message that names the key, and nothing starts."""

import json
import random
from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest

from bhasa.cli import main
from bhasa.errors import UserError
from bhasa.experiment import Experiment
from bhasa.params import read_mapping

ROOT = Path(__file__).parents[1]
REPLACEMENTS: tuple[Any, ...] = (
    *(None, True, False, "", "no such word", "1", "\u0000", -1, 0, 0.5, -0.5, 10**30, 1e300, -1e300),
    *([], [[]], ["no such word"], [None], {}, {"x": 1}, [{"x": 1}], [1, 2, 3] * 50),
)
WANTED = 2000

Key = tuple[str | int, ...]


def keys_of(value: Any, here: Key = ()) -> Iterator[Key]:
    """Where every value inside stands."""
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for part, below in inside:
        yield (*here, part)
        yield from keys_of(below, (*here, part))


def at(value: Any, key: Key) -> Any:
    for part in key:
        value = value[part]
    return value


def mutations(values: dict[str, Any], seed: int) -> Iterator[tuple[Key, dict[str, Any]]]:
    """Without end: a key that was replaced, misspelt or removed, and all values."""
    choose = random.Random(seed)
    keys = list(keys_of(values))
    while True:
        key = choose.choice(keys)
        changed = deepcopy(values)
        parent, last = at(changed, key[:-1]), key[-1]
        kind = choose.random()
        if kind < 0.7 or isinstance(last, int):
            parent[last] = choose.choice(REPLACEMENTS)
            yield key, changed
        elif kind < 0.85:
            misspelt = last[:-1] + choose.choice("xqz") + last[-1:]
            parent[misspelt] = parent.pop(last)
            yield (*key[:-1], misspelt), changed
        else:
            parent.pop(last)
            yield key, changed


def named(key: Key, message: str) -> bool:
    """Whether the message names the key, or the mapping around it whose rule it breaks."""
    parts = [str(part) for part in key]
    return any(
        part in message for part in (".".join(parts[-2:]), parts[-1], ".".join(parts[:-1]) or parts[0])
    )


def holds(taken: Any, given: Any) -> bool:
    """Whether what was loaded is what stood there, but for keys that were left out."""
    if isinstance(given, dict):
        return isinstance(taken, dict) and all(holds(taken.get(key), below) for key, below in given.items())
    if isinstance(given, list):
        return isinstance(taken, list) and len(taken) == len(given) and all(map(holds, taken, given))
    if isinstance(given, int) and isinstance(taken, float):  # a number may be written without a point
        return not isinstance(given, bool) and taken == float(given)
    return bool(taken == given and isinstance(taken, bool) == isinstance(given, bool))


def refusal(path: Path, values: dict[str, Any]) -> str | None:
    """The message; None where `values` are taken, and then just as they stand."""
    path.write_text(json.dumps(values))
    try:
        taken = Experiment.load(path)
    except UserError as error:
        return str(error)
    assert holds(taken.as_mapping(), values)
    return None


def test_every_mutation_is_refused_by_name_or_taken_as_it_stands(tmp_path: Path) -> None:
    refused = 0
    for key, values in mutations(read_mapping(ROOT / "params.yaml"), seed=1):
        message = refusal(tmp_path / "params.json", values)
        if message is not None:
            assert named(key, message), (key, message)
            assert len(message.splitlines()) < 10, (key, message)
            refused += 1
        if refused == WANTED:
            return


@pytest.mark.parametrize("verb", ["ingest", "check"])
def test_the_command_fails_with_code_2_and_starts_nothing(
    verb: str, workspace: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    params = Path("params.yaml")
    written = ("documents", "chat", "accounts", "report", "page")
    paths = [part for name in ("raw", *written) for part in (f"--{name}", name)]
    paths = [*paths, "--hardware", str(ROOT / "pipeline/hardware/cpu.yaml")] if verb == "ingest" else []
    monkeypatch.setattr("sys.argv", ["bhasa", verb, "--params", str(params), *paths])
    Path("raw").mkdir()
    before, tried = sorted(Path().rglob("*")), 0
    for key, values in mutations(read_mapping(params), seed=2):
        if refusal(params, values) is None:  # JSON is YAML too
            continue
        with pytest.raises(SystemExit) as ended:
            main()
        message = capsys.readouterr().err
        assert ended.value.code == 2
        assert named(key, message), (key, message)
        assert "Traceback" not in message
        assert sorted(Path().rglob("*")) == before
        tried += 1
        if tried == 20:
            return
