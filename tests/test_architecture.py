"""The design rules that can be read off the source: who may import what, and what a stage depends on."""

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from bhasa.dataset import ROLES, SPLITS
from bhasa.documents.config import IngestConfig

ROOT = Path(__file__).parents[1]
SRC = ROOT / "src"
FILES = sorted((SRC / "bhasa").rglob("*.py"))

# Where a library may be imported at all: files, or folders (ending in a slash), below src/bhasa.
HOMES = {
    "mlflow": ("tracking/", "export/pyfunc_model.py"),  # the second runs inside MLflow
    "typer": ("cli.py", "stages/", "tools/"),
    "ruamel": ("params.py",),
    "yaml": (),
    "transformers": ("finetuning/", "export/", "tokens/"),
    "triton": ("ops/",),
    "datasets": ("documents/sources/",),
    "fsspec": ("documents/sources/",),
    "dvc": (),
    "ray": ("ray_cluster.py",),
}

# What takes long to import, and so is imported by a command when it runs and not before.
HEAVY = {
    *("torch", "mlflow", "transformers", "peft", "datasets", "pyarrow", "onnx", "onnxruntime"),
    *("tokenizers", "safetensors", "pypdf", "matplotlib", "pydantic", "numpy", "pandas", "ray"),
}

# Who must not know whom, whenever the import happens.
MUST_NOT_KNOW = {
    "errors": {"bhasa"},
    "progress": {"bhasa"},
    "dataset": {"bhasa"},
    "journal": {"bhasa.params", "bhasa.tracking"},
    "ops": {"bhasa.model", "bhasa.bundle", "bhasa.journal"},
    "model": {"bhasa.training", "bhasa.tokens", "bhasa.documents", "bhasa.bundle", "bhasa.journal"},
    "documents": {"bhasa.tokens", "bhasa.model", "bhasa.training"},
    "tokens": {"bhasa.model", "bhasa.training", "bhasa.documents"},
    "bundle": {"bhasa.training", "bhasa.finetuning", "bhasa.evaluation", "bhasa.export"},
    "cards": {"bhasa.bundle", "bhasa.training", "bhasa.finetuning", "bhasa.tokens"},
    "training": {"bhasa.finetuning", "bhasa.evaluation", "bhasa.export", "bhasa.documents"},
    "inference": {"bhasa.training", "bhasa.finetuning", "bhasa.evaluation", "bhasa.export"},
    "evaluation": {"bhasa.training", "bhasa.finetuning", "bhasa.export"},
    "quantisation": {"bhasa.export", "bhasa.model", "bhasa.ops", "bhasa.bundle"},
    "tracking": {"bhasa.model", "bhasa.bundle", "bhasa.training", "bhasa.export"},
}
ENTRANCES = {"bhasa.cli", "bhasa.stages", "bhasa.tools", "bhasa.tracking", "bhasa.experiment"}

# A stage reaches these, but they cannot change what it writes, so a change in them is no reason to run again.
WITHOUT_EFFECT = {
    "bhasa.errors": "what is said when nothing is written",
    "bhasa.progress": "what is shown meanwhile",
    "bhasa.cards": "describes to people what was written",
    "bhasa.signals": "decides when to stop, not what is written",
    "bhasa.unfinished": "keeps what is not finished",
    "bhasa.tracking": "tells MLflow what happened",
    "bhasa.ray_cluster": "says on which machines it is computed",
    "bhasa.stages": "checks params.yaml, opens the tracker, reads the seed, which stands under `params`",
    "bhasa.experiment": "refuses a wrong params.yaml",
}


@dataclass(frozen=True)
class Import:
    name: str  # dotted, absolute: a module or something in one
    late: bool  # inside a function


def module_name(path: Path) -> str:
    parts = path.relative_to(SRC).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_name(path): path for path in FILES}


@cache
def imports(path: Path) -> tuple[Import, ...]:
    """All imports of a file but those for the type checker alone."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    package = module_name(path) if path.name == "__init__.py" else module_name(path).rpartition(".")[0]
    return tuple(_imports(tree, package, late=False))


def _imports(node: ast.AST, package: str, *, late: bool) -> Iterator[Import]:
    if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
        children: list[ast.AST] = list(node.orelse)
    else:
        children = list(ast.iter_child_nodes(node))
    if isinstance(node, ast.Import):
        yield from (Import(alias.name, late) for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        above = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
        module = ".".join([*above, *([node.module] if node.module else [])])
        yield from (Import(f"{module}.{alias.name}", late) for alias in node.names)
    elif isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value in MODULES:
        yield Import(node.value, late=True)  # a registry that names a module to import later
    inner = late or isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
    for child in children:
        yield from _imports(child, package, late=inner)


def own_modules(name: str) -> set[str]:
    """The modules of bhasa that importing `name` runs: itself, or where it lies, and the packages above."""
    parts = name.split(".")
    return {".".join(parts[:n]) for n in range(1, len(parts) + 1)} & MODULES.keys()


def reached(start: str, *, late: bool, without: frozenset[str] = frozenset()) -> tuple[set[str], set[str]]:
    """The modules of bhasa and the foreign libraries that `start` imports, directly or through others."""
    own, foreign, waiting = set[str](), set[str](), sorted(own_modules(start))
    while waiting:
        module = waiting.pop()
        if module in own | without:
            continue
        own.add(module)
        for found in imports(MODULES[module]):
            if found.late and not late:
                continue
            if found.name.split(".")[0] == "bhasa":
                waiting += own_modules(found.name)
            else:
                foreign.add(found.name.split(".")[0])
    return own, foreign


def local(path: Path) -> str:
    return path.relative_to(SRC / "bhasa").as_posix()


@pytest.mark.parametrize("library", HOMES)
def test_a_library_is_imported_only_in_its_home(library: str) -> None:
    homes = HOMES[library]
    strangers = {
        local(path)
        for path in FILES
        if any(found.name.split(".")[0] == library for found in imports(path))
        and not any(
            local(path) == home or (home.endswith("/") and local(path).startswith(home)) for home in homes
        )
    }
    assert strangers == set()


@pytest.mark.parametrize(
    "path", [p for p in FILES if re.match(r"cli\.py|stages/|tools/", local(p))], ids=local
)
def test_commands_import_nothing_heavy_before_they_run(path: Path) -> None:
    _, foreign = reached(module_name(path), late=False)
    assert foreign & HEAVY == set()


@pytest.mark.parametrize(
    "path", [p for p in FILES if re.match(r"documents/|tokens/|params|journal", local(p))], ids=local
)
def test_the_early_stages_load_no_torch(path: Path) -> None:
    _, foreign = reached(module_name(path), late=False)
    assert foreign & {"torch", "mlflow", "peft"} == set()


@pytest.mark.parametrize(
    "path", [p for p in FILES if p.stem == "config" or local(p) == "hardware.py"], ids=local
)
def test_configs_load_nothing_heavy(path: Path) -> None:
    _, foreign = reached(module_name(path), late=False)
    assert foreign & (HEAVY - {"pydantic"}) == set()


@pytest.mark.parametrize("path", FILES, ids=local)
def test_arrows_never_turn_back(path: Path) -> None:
    place = local(path).removesuffix(".py").split("/")[0]
    if f"bhasa.{place}" in ENTRANCES | {"bhasa.__init__"}:
        forbidden = MUST_NOT_KNOW.get(place, set())
    else:
        forbidden = MUST_NOT_KNOW.get(place, set()) | ENTRANCES
    known = {name for found in imports(path) for name in own_modules(found.name)}
    assert {
        name for name in known for wrong in forbidden if name == wrong or name.startswith(f"{wrong}.")
    } == set()


@pytest.mark.parametrize("path", [p for p in FILES if local(p) != "dataset.py"], ids=local)
def test_what_documents_write_and_tokens_read_is_spelt_out_in_one_place(path: Path) -> None:
    """Neither may import the other, so both would be tempted to repeat it."""
    spelt: set[object] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Tuple | ast.List):
            spelt.add(tuple(item.value for item in node.elts if isinstance(item, ast.Constant)))
    assert spelt & {SPLITS, ROLES} == set()


@pytest.mark.parametrize("path", [p for p in FILES if local(p).startswith("stages/")], ids=local)
def test_stages_do_not_know_each_other(path: Path) -> None:
    known = {name for found in imports(path) for name in own_modules(found.name)}
    assert {name for name in known if name.startswith("bhasa.stages.")} == set()


@pytest.mark.parametrize("path", FILES, ids=local)
def test_a_file_is_short_named_for_what_it_holds_and_ascii(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 400
    assert text.isascii()
    assert not {"utils", "util", "helpers", "helper", "common", "misc"} & {*path.parts, path.stem}


def pipeline() -> dict[str, dict]:
    path = ROOT / "dvc.yaml"
    return (
        YAML(typ="safe", pure=True).load(path.read_text(encoding="utf-8"))["stages"] if path.exists() else {}
    )


def code_deps(stage: dict) -> set[Path]:
    return {ROOT / dep for dep in stage.get("deps", []) if isinstance(dep, str) and dep.startswith("src/")}


def command_module(stage: dict) -> str:
    verb = re.search(r"\bbhasa (\w+)", stage["cmd"])
    assert verb is not None
    return next(name for name in (f"bhasa.stages.{verb[1]}", f"bhasa.tools.{verb[1]}") if name in MODULES)


def needed(stage: dict) -> set[Path]:
    """The files of bhasa that can change what the stage writes."""
    own, _ = reached(command_module(stage), late=True, without=frozenset(WITHOUT_EFFECT))
    return {MODULES[module] for module in own}


@pytest.mark.parametrize("name", pipeline())
def test_a_stage_depends_on_all_code_that_it_reaches(name: str) -> None:
    stage = pipeline()[name]
    deps = code_deps(stage)
    uncovered = sorted(path for path in needed(stage) if not deps & {path, *path.parents})
    listing = "".join(f"\n- {path.relative_to(ROOT)}" for path in uncovered)
    assert not uncovered, f"add to dvc.yaml, stages.{name}.deps, these files or their folders:{listing}"


@pytest.mark.parametrize("name", pipeline())
def test_a_stage_depends_on_no_code_that_it_does_not_reach(name: str) -> None:
    stage = pipeline()[name]
    files = needed(stage)
    idle = sorted(dep for dep in code_deps(stage) if not any(dep in (path, *path.parents) for path in files))
    listing = "".join(f"\n- {dep.relative_to(ROOT)}" for dep in idle)
    assert not idle, f"remove from dvc.yaml, stages.{name}.deps:{listing}"


def test_ingest_runs_again_for_every_key_of_its_section_but_the_mix() -> None:
    """Which pretrain reads; a key that params.yaml lacks is an error of DVC's."""
    keys = {f"ingest.{name}" for name in IngestConfig.model_fields}
    stages = pipeline()
    assert {"ingest.mix"} == {key for key in stages["pretrain"]["params"] if "ingest" in str(key)}
    listed = {key for key in stages["ingest"]["params"] if str(key).startswith("ingest")}
    assert listed == keys - {"ingest.mix"}, "list under stages.ingest.params what IngestConfig has"
    written = YAML(typ="safe", pure=True).load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    assert {f"ingest.{name}" for name in written["ingest"]} == keys, "write every key into params.yaml"


def test_every_exception_exists() -> None:
    assert WITHOUT_EFFECT.keys() <= MODULES.keys()


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("import torch.nn", {("torch.nn", False)}),
        ("from bhasa import journal", {("bhasa.journal", False)}),
        ("from . import block", {("bhasa.model.block", False)}),
        ("from ..ops.segments import mask", {("bhasa.ops.segments.mask", False)}),
        ("def f():\n    import torch", {("torch", True)}),
        ("try:\n    import torch\nexcept ImportError:\n    pass", {("torch", False)}),
        ("if TYPE_CHECKING:\n    import torch\nelse:\n    import numpy", {("numpy", False)}),
        ("READERS = {'.md': 'bhasa.journal'}", {("bhasa.journal", True)}),
        ("class A:\n    import numpy", {("numpy", False)}),
    ],
)
def test_the_walker_sees(source: str, found: set[tuple[str, bool]]) -> None:
    seen = _imports(ast.parse(source), "bhasa.model", late=False)
    assert {(one.name, one.late) for one in seen} == found
