import json
import re
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, Self

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import Field, ValidationError, model_validator

from bhasa import params
from bhasa.errors import UserError
from bhasa.experiment import Experiment
from bhasa.params import Config, Upgrade, read_mapping


class Folder(Config):
    kind: Literal["folder"] = "folder"
    pattern: str = "*.md"


class Library(Config):
    kind: Literal["library"] = "library"
    megabytes: Annotated[int, Field(ge=1, le=100)] = 4


class Schedule(Config):
    warmup: Annotated[int, Field(ge=0)] = 10
    shape: Literal["cosine", "linear"] = "cosine"


def _rename_lr(old: dict[str, Any]) -> dict[str, Any]:
    return {"learning_rate" if key == "lr" else key: value for key, value in old.items()}


def _move_warmup(old: dict[str, Any]) -> dict[str, Any]:
    warmup = old.pop("warmup", None)
    return old if warmup is None else old | {"schedule": {"warmup": warmup}}


class Toy(Config):
    """Version 1 called the rate `lr`, version 2 had no schedule of its own but `warmup`."""

    learning_rate: Annotated[float, Field(gt=0, lt=1)] = 1e-3
    steps: Annotated[int, Field(ge=1)] = 100
    betas: tuple[float, float] = (0.9, 0.95)
    name: str = "toy"
    schedule: Schedule = Schedule()
    sources: tuple[Annotated[Folder | Library, Field(discriminator="kind")], ...] = ()
    free: dict[str, Any] = Field(default_factory=dict)

    UPGRADES: ClassVar[tuple[Upgrade, ...]] = (_rename_lr, _move_warmup)

    @model_validator(mode="after")
    def _warmup_fits(self) -> Self:
        if self.schedule.warmup > self.steps:
            raise ValueError(f"schedule.warmup ({self.schedule.warmup}) is longer than steps ({self.steps})")
        return self


BAD_VALUES = {
    "unknown key": (
        "leaning_rate: 0.1",
        r"leaning_rate: unknown key \(value 0.1\); did you mean 'learning_rate'",
    ),
    "unknown key lists the allowed": ("zzz: 1", r"zzz: unknown key .*; allowed here: betas, .*steps"),
    "unknown nested key": (
        "schedule: {warm_up: 5}",
        r"schedule\.warm_up: .*did you mean 'warmup'.*: shape, warmup",
    ),
    "unknown key in a union": (
        "sources: [{kind: folder}, {kind: library, megabyte: 3}]",
        r"sources\.1\..*megabyte: .*did you mean 'megabytes'; allowed here: kind, megabytes$",
    ),
    "unknown tag": ("sources: [{kind: floder}]", r"sources\.0: .*'floder'.*'folder', 'library'"),
    "no tag": ("sources: [{pattern: a}]", r"sources\.0: .*'kind'"),
    "text for a number": ("steps: '3'", r"steps: found '3'; input should be a valid integer"),
    "PyYAML's trap": ("steps: 1:30", r"steps: found '1:30'"),
    "fraction for a whole number": ("steps: 3.5", r"steps: found 3\.5"),
    "truth for a number": ("steps: true", r"steps: found True"),
    "number for text": ("name: 3", r"name: found 3; input should be a valid string"),
    "nothing for a number": ("steps: null", r"steps: found None"),
    "list for a mapping": ("schedule: [1]", r"schedule: found \[1\]"),
    "too short a list": ("betas: [0.9]", r"betas\.1: missing"),
    "too small": ("steps: 0", r"steps: found 0; .*greater than or equal to 1"),
    "too large": (
        "sources: [{kind: library, megabytes: 101}]",
        r"megabytes: found 101; .*less than or equal to 100",
    ),
    "not a choice": ("schedule: {shape: cosin}", r"schedule\.shape: found 'cosin'; .*'cosine' or 'linear'"),
    "not a number": ("learning_rate: .nan", r"learning_rate: found nan; .*finite"),
    "infinite": ("learning_rate: .inf", r"learning_rate: found inf; .*finite"),
    "a rule between keys": ("steps: 5", r"toy\.yaml: schedule\.warmup \(10\) is longer than steps \(5\)$"),
}

BAD_FILES = {
    "duplicate key": (b"steps: 1\nsteps: 2", r"line 2 found duplicate key \"steps\""),
    "broken YAML": (b"a: [1,\nb: 2", r"line \d"),
    "tab": (b"\tsteps: 1", r"line 1 .*'\\t'"),
    "not UTF-8": (b"name: caf\xe9", r"not UTF-8 text \(byte 9\); save it as UTF-8"),
    "binary": (b"\x00\x01\x02", r"not readable: unacceptable character"),
    "too large": (b"#" * (params.MAX_BYTES + 1), r"1,048,577 bytes; a parameter file has at most 1,048,576"),
    "empty": (b"", r"expected keys and values at the top level, found NoneType"),
    "list": (b"- steps", r"expected keys and values at the top level, found list"),
    "number as key": (b"1: 2", r"found the key 1; a key is a word"),
    "two documents": (b"steps: 1\n---\nsteps: 2", r"another document"),
    "code": (b"name: !!python/object/apply:os.getcwd []", r"line 1 could not determine a constructor"),
    "undefined alias": (b"name: *other", r"line 1 found undefined alias"),
    "impossible date": (b"name: 2020-99-99", r"not readable: month must be in 1..12"),
    "endless number": (b"steps: " + b"9" * 5000, r"not readable: Exceeds the limit"),
    "deep nesting": (b"free: " + b"[" * 400 + b"]" * 400, r"recursion"),
    "cycle of aliases": (b"free: &a {inner: *a}", r"more than 100,000 values; use fewer YAML aliases"),
    "alias bomb": (
        b"free:\n  a: &a0 [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]\n"
        + b"".join(b"  b%d: &a%d [%s]\n" % (i, i, b",".join([b"*a%d" % (i - 1)] * 10)) for i in range(1, 12)),
        r"more than 100,000 values; use fewer YAML aliases",
    ),
}

BAD_JSON = {
    "cut off": ('{"steps": ', r"not readable: Expecting value"),
    "not a number": ('{"learning_rate": NaN}', r"learning_rate: found nan; .*finite"),
    "deep nesting": ('{"free": ' + "[" * 5000 + "]" * 5000 + "}", r"recursion"),
    "list": ("[1]", r"expected keys and values at the top level, found list"),
}


@pytest.mark.parametrize(("text", "message"), BAD_VALUES.values(), ids=BAD_VALUES)
def test_a_bad_value_is_named(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "toy.yaml"
    path.write_text(f"version: 3\n{text}\n")
    with pytest.raises(UserError, match=message) as caught:
        Toy.load(path)
    assert str(caught.value).startswith(str(path))
    assert caught.value.exit_code == 2


@pytest.mark.parametrize(("data", "message"), BAD_FILES.values(), ids=BAD_FILES)
def test_a_bad_file_is_named(tmp_path: Path, data: bytes, message: str) -> None:
    path = tmp_path / "toy.yaml"
    path.write_bytes(data)
    with pytest.raises(UserError, match=message) as caught:
        Toy.load(path)
    assert str(caught.value).startswith(str(path))


@pytest.mark.parametrize(("text", "message"), BAD_JSON.values(), ids=BAD_JSON)
def test_bad_json_is_named(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "toy.json").write_text(text)
    with pytest.raises(UserError, match=message):
        Toy.load(tmp_path / "toy.json")


def test_all_mistakes_are_told_at_once(tmp_path: Path) -> None:
    (tmp_path / "toy.yaml").write_text("version: 3\nsteps: 0\nname: 1\nnaem: x\n")
    with pytest.raises(UserError) as caught:
        Toy.load(tmp_path / "toy.yaml")
    assert len(str(caught.value).splitlines()) == 3


def test_a_missing_preset_names_those_that_exist(tmp_path: Path) -> None:
    for name in ("tiny", "small", "large"):
        (tmp_path / f"{name}.yaml").touch()
    with pytest.raises(UserError, match=r"did you mean 'tiny'; there are: large, small, tiny$"):
        Toy.load(tmp_path / "tniy.yaml")


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"no such file$"):
        Toy.load(tmp_path / "none" / "tiny.yaml")


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="not readable: Is a directory"):
        Toy.load(tmp_path)


def test_yaml_is_read_as_dvc_reads_it(tmp_path: Path) -> None:
    (tmp_path / "toy.yaml").write_text("version: 3\nlearning_rate: 1e-4\nname: yes\n")
    toy = Toy.load(tmp_path / "toy.yaml")
    assert toy.learning_rate == 1e-4
    assert toy.name == "yes"


def test_aliases_in_measure_are_welcome(tmp_path: Path) -> None:
    (tmp_path / "toy.yaml").write_text("version: 3\nfree: {a: &x {k: 1}, b: *x, c: {<<: *x, l: 2}}\n")
    assert Toy.load(tmp_path / "toy.yaml").free == {"a": {"k": 1}, "b": {"k": 1}, "c": {"k": 1, "l": 2}}


toys = st.builds(
    Toy,
    learning_rate=st.floats(1e-12, 0.999),
    steps=st.integers(10, 10**15),
    betas=st.tuples(st.floats(0, 1), st.floats(0, 1)),
    name=st.text(st.characters(codec="utf-8", exclude_categories=["C", "Zl", "Zp"])),  # YAML folds the others
    schedule=st.builds(Schedule, warmup=st.integers(0, 10), shape=st.sampled_from(["cosine", "linear"])),
    sources=st.lists(st.one_of(st.builds(Folder), st.builds(Library, megabytes=st.integers(1, 100)))).map(
        tuple
    ),
)


@given(toy=toys, suffix=st.sampled_from(["yaml", "json"]))
def test_what_is_saved_is_loaded(tmp_path_factory: pytest.TempPathFactory, toy: Toy, suffix: str) -> None:
    path = tmp_path_factory.mktemp("toy") / f"toy.{suffix}"
    toy.save(path)
    assert Toy.load(path) == toy
    first = path.read_bytes()
    Toy.load(path).save(path)
    assert path.read_bytes() == first


def test_saving_writes_the_defaults_and_the_version(tmp_path: Path) -> None:
    Toy().save(tmp_path / "toy.json")
    saved = json.loads((tmp_path / "toy.json").read_text())
    assert saved["version"] == 3
    assert set(saved) == {"version", *Toy.model_fields}


@pytest.mark.parametrize("version", ["", "version: 1\n"])
def test_an_earlier_version_is_read(tmp_path: Path, version: str) -> None:
    (tmp_path / "toy.yaml").write_text(f"{version}lr: 0.25\nwarmup: 4\n")
    toy = Toy.load(tmp_path / "toy.yaml")
    assert (toy.learning_rate, toy.schedule.warmup) == (0.25, 4)


@pytest.mark.parametrize("version", ["4", "0", "'3'", "true", "1.0"])
def test_a_newer_or_senseless_version_is_refused(tmp_path: Path, version: str) -> None:
    (tmp_path / "toy.yaml").write_text(f"version: {version}\n")
    with pytest.raises(UserError, match=r"version: found .*; this bhasa reads 1 to 3: update it$"):
        Toy.load(tmp_path / "toy.yaml")


def test_a_config_cannot_be_changed() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        Toy().steps = 3  # type: ignore[misc]


def test_a_section_is_read_and_named_in_errors(tmp_path: Path) -> None:
    path = tmp_path / "params.yaml"
    path.write_text("toy: {version: 3, name: mine}\nlist: [1]\nbad: {version: 3, steps: x}\n")
    assert Toy.load(path, "toy").name == "mine"
    with pytest.raises(UserError, match=r"section 'tyo' is missing; did you mean 'toy'"):
        Toy.load(path, "tyo")
    with pytest.raises(UserError, match=r"list: expected keys and values, found \[1\]"):
        Toy.load(path, "list")
    with pytest.raises(UserError, match=r"params\.yaml: bad: steps: found 'x'"):
        Toy.load(path, "bad")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("pretrain:", "pretrian:", r"pretrian: unknown key .*did you mean 'pretrain'"),
        ("pretrain:", "pretrian:", r"pretrain: missing; add this key"),
        ("size:", "sise:", r"model\.sise: unknown key .*did you mean 'size'"),
        ("rank:", "ranks:", r"finetune\.adapter\.ranks: unknown key .*did you mean 'rank'"),
        (r"seed: \d+", "seed: -1", r"seed: found -1; .*greater than or equal to 0"),
        (r"seed: \d+", "seed: 1.5", r"seed: found 1\.5"),
        (r"model:\n +size:", "model:", r"model: found '\w+'"),
    ],
)
def test_the_whole_of_params_is_checked(workspace: Path, old: str, new: str, message: str) -> None:
    path = workspace / "params.yaml"
    changed = re.sub(old, new, path.read_text(), count=1)
    assert changed != path.read_text()
    path.write_text(changed)
    with pytest.raises(UserError, match=message):
        Experiment.load(path)


def test_the_experiment_names_every_stage() -> None:
    from bhasa.stages import STAGES

    assert tuple(name for name in Experiment.model_fields if name in STAGES) == STAGES
    assert set(Experiment.model_fields) == {"seed", "model", "hardware", "training", *STAGES}


def test_reading_a_mapping_does_not_judge_its_keys(tmp_path: Path) -> None:
    (tmp_path / "any.yaml").write_text("anything: {at: [all]}\n")
    assert read_mapping(tmp_path / "any.yaml") == {"anything": {"at": ["all"]}}
