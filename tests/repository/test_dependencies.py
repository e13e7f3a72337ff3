"""What pyproject.toml declares is what the code imports: nothing more, nothing less."""

import ast
import re
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
EXTRAS = PROJECT["optional-dependencies"]
OWN = {"bhasa", "benchmarks", "tests", *(path.stem for path in (ROOT / "tests").rglob("*.py"))}
INSTALLED = packages_distributions()

NOT_IMPORTED = {"dvc": "a command: it runs the stages"}


def names(requirements: list[str]) -> set[str]:
    return {normal(re.split(r"[ <>=!~;\[]", requirement)[0]) for requirement in requirements}


def normal(distribution: str) -> str:
    return re.sub(r"[-_.]+", "-", distribution).lower()


def imported(*folders: str) -> set[str]:
    """The third-party packages that the files of these folders import, at the top or later."""
    found: set[str] = set()
    for path in (path for folder in folders for path in (ROOT / folder).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                found |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and not node.level:
                found.add(str(node.module).split(".")[0])
    return found - sys.stdlib_module_names - OWN


SOURCES, TESTS = imported("src"), imported("tests", "benchmarks")


def distributions_of(modules: set[str]) -> set[str]:
    return {normal(distribution) for m in modules for distribution in INSTALLED.get(m, [m])}


@pytest.mark.parametrize("dependency", sorted(names(PROJECT["dependencies"])))
def test_a_declared_dependency_is_imported(dependency: str) -> None:
    assert dependency in distributions_of(SOURCES) | NOT_IMPORTED.keys()


@pytest.mark.parametrize("module", sorted(SOURCES))
def test_an_imported_package_is_declared(module: str) -> None:
    optional = {"triton", "ray"}  # the first comes with torch where there is a GPU, the second is an extra
    assert module in optional or distributions_of({module}) & names(PROJECT["dependencies"])


@pytest.mark.parametrize("module", sorted(TESTS))
def test_what_tests_and_benchmarks_import_is_declared(module: str) -> None:
    declared = names([*PROJECT["dependencies"], *EXTRAS["dev"], *EXTRAS["peers"]])
    assert distributions_of({module}) & declared
