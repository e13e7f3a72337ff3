"""YAML or JSON to a checked, frozen config and back.

Every config of the project is a `Config`: a pydantic model that refuses unknown keys, wrong types and
values out of range, and says so in one message with the file, the dotted key, the value found, what is
allowed and the nearest valid key. YAML is read by the parser that DVC uses (YAML 1.2, so `1e-4` is a
number to both), which also refuses duplicate keys. This module knows no concrete config.
"""

import difflib
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, ClassVar, Self, get_args

from pydantic import BaseModel, ConfigDict, ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError

from bhasa.errors import UserError
from bhasa.journal import write_text

MAX_BYTES = 1 << 20  # a parameter file is pages long, never megabytes
MAX_VALUES = 100_000
MAX_SHOWN = 5  # mistakes of one file, after which the others are counted
MAX_VALUE_CHARACTERS = 200  # of a value that is shown

Upgrade = Callable[[dict[str, Any]], dict[str, Any]]


class Config(BaseModel):
    """Base of every config: immutable, no unknown keys, no silent conversions.

    `UPGRADES[v - 1]` turns the mapping of format version v into that of v + 1, so files written by an
    earlier release keep loading. A file without `version` is of version 1.
    """

    model_config = ConfigDict(
        extra="forbid", frozen=True, strict=True, allow_inf_nan=False, use_attribute_docstrings=True
    )
    UPGRADES: ClassVar[tuple[Upgrade, ...]] = ()

    @classmethod
    def parse(cls, values: Mapping[str, Any], where: str) -> Self:
        """Check `values`; `where` names them in errors, e.g. `params.yaml: pretrain`."""
        try:
            # JSON mode: strict about types, yet a list may fill a tuple.
            return cls.model_validate_json(json.dumps(cls._upgraded(dict(values), where), default=str))
        except ValidationError as error:
            shown = [_explain(cls, e, where) for e in error.errors()[:MAX_SHOWN]]
            more = error.error_count() - len(shown)
            raise UserError("\n".join([*shown, f"and {more} more"] if more else shown)) from None

    @classmethod
    def load(cls, path: Path, section: str | None = None) -> Self:
        """Read `path` (YAML, or JSON by its suffix), or one `section` of it."""
        values = read_mapping(path)
        if section is None:
            return cls.parse(values, str(path))
        if section not in values:
            raise UserError(f"{path}: section '{section}' is missing{_nearest(section, values)}")
        if not isinstance(values[section], dict):
            raise UserError(f"{path}: {section}: expected keys and values, found {_shown(values[section])}")
        return cls.parse(values[section], f"{path}: {section}")

    def save(self, path: Path) -> None:
        """Write all values, defaults included, with the format version; YAML, or JSON by the suffix."""
        values = {"version": len(self.UPGRADES) + 1} | self.as_mapping()
        write_text(path, json.dumps(values, indent=2) + "\n" if path.suffix == ".json" else _to_yaml(values))

    def as_mapping(self) -> dict[str, Any]:
        """The values as plain JSON types."""
        return self.model_dump(mode="json")

    @classmethod
    def _upgraded(cls, values: dict[str, Any], where: str) -> dict[str, Any]:
        newest = len(cls.UPGRADES) + 1
        version = values.pop("version", 1)
        if type(version) is not int or not 1 <= version <= newest:
            found = f"found {_shown(version)}; this bhasa reads 1 to {newest}: update it"
            raise UserError(f"{where}: version: {found}")
        for upgrade in cls.UPGRADES[version - 1 :]:
            values = upgrade(values)
        return values


def read_mapping(path: Path) -> dict[str, Any]:
    """The top level of a YAML or JSON file; every way it can be wrong is a `UserError`."""
    try:
        if (size := path.stat().st_size) > MAX_BYTES:
            raise UserError(f"{path}: {size:,} bytes; a parameter file has at most {MAX_BYTES:,}")
        text = path.read_bytes().decode()
        values = json.loads(text) if path.suffix == ".json" else YAML(typ="safe", pure=True).load(text)
    except FileNotFoundError:
        beside = sorted(p.stem for p in path.parent.glob(f"*{path.suffix}") if path.suffix)
        choices = f"; there are: {', '.join(beside)}" if beside else ""
        raise UserError(f"{path}: no such file{_nearest(path.stem, beside)}{choices}") from None
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: not UTF-8 text (byte {error.start}); save it as UTF-8") from None
    except MarkedYAMLError as error:
        line = f" line {error.problem_mark.line + 1}" if error.problem_mark else ""
        problem = (error.problem or "not readable").splitlines()[0]
        raise UserError(f"{path}:{line} {problem}; mend the YAML there") from None
    except (YAMLError, ValueError, RecursionError) as error:  # ValueError: not JSON, or a date with month 99
        raise UserError(f"{path}: not readable: {str(error).splitlines()[0]}") from None
    except OSError as error:
        raise UserError(f"{path}: not readable: {error.strerror}") from None
    if not isinstance(values, dict):
        raise UserError(f"{path}: expected keys and values at the top level, found {type(values).__name__}")
    if wrong := [key for key in values if not isinstance(key, str)]:
        raise UserError(f"{path}: found the key {_shown(wrong[0])}; a key is a word")
    _require_finite(values, path)
    return values


def _require_finite(values: Any, path: Path) -> None:
    """Aliases let a short YAML file stand for an endless one; count what it unfolds to."""
    count, waiting = 0, [values]
    while waiting:
        value = waiting.pop()
        inside = list(value.values()) if isinstance(value, dict) else value if isinstance(value, list) else []
        waiting += inside
        count += len(inside)
        if count > MAX_VALUES:
            raise UserError(f"{path}: more than {MAX_VALUES:,} values; use fewer YAML aliases")


def _explain(config: type[Config], error: Mapping[str, Any], where: str) -> str:
    key = ".".join(str(part) for part in error["loc"])
    place = f"{where}: {key}" if key else where
    if error["type"] == "extra_forbidden":
        allowed = _fields_at(config, error["loc"][:-1])
        listing = f"; allowed here: {', '.join(sorted(allowed))}" if allowed else ""
        nearest = _nearest(str(error["loc"][-1]), allowed)
        return f"{place}: unknown key (value {_shown(error['input'])}){nearest}{listing}"
    if error["type"] == "missing":
        return f"{place}: missing; add this key"
    message = error["msg"].removeprefix("Value error, ")
    if not key:  # a rule between several keys names them itself
        return f"{place}: {message}"
    return f"{place}: found {_shown(error['input'])}; {message[:1].lower()}{message[1:]}"


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= MAX_VALUE_CHARACTERS else f"{text[:MAX_VALUE_CHARACTERS]}..."


def _fields_at(config: type[BaseModel], loc: tuple[str | int, ...]) -> list[str]:
    """The keys allowed where `loc` points: follows fields, list items and tagged unions."""
    candidates: list[type[BaseModel]] = [config]
    for part in loc:
        fields = [c.model_fields[str(part)] for c in candidates if part in c.model_fields]
        below = [model for field in fields for model in _models_in(field.annotation)]
        tagged = [c for c in candidates if _has_tag(c, part)]
        candidates = below or tagged or candidates
    return sorted({name for c in candidates for name in c.model_fields})


def _has_tag(config: type[BaseModel], tag: str | int) -> bool:
    return any(tag in get_args(field.annotation) for field in config.model_fields.values())


def _models_in(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for argument in get_args(annotation) for model in _models_in(argument)]


def _nearest(found: str, allowed: Any) -> str:
    close = difflib.get_close_matches(found, list(allowed), n=1)
    return f"; did you mean '{close[0]}'" if close else ""


def _to_yaml(values: Mapping[str, Any]) -> str:
    from io import StringIO

    writer = YAML(typ="safe", pure=True)
    writer.default_flow_style = False
    writer.sort_base_mapping_type_on_output = False  # type: ignore[assignment]
    stream = StringIO()
    writer.dump(dict(values), stream)
    return stream.getvalue()
