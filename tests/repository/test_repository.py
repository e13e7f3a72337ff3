"""The repository's own promises: pins, notes, the lock of the last run, and what README says."""

import re
import subprocess
from importlib.metadata import distributions
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from bhasa.cli import VERBS
from bhasa.documents.readers import READERS
from bhasa.tools.report import BEGIN, END, render

ROOT = Path(__file__).parents[2]
PAGES = ("README.md", "CONTRIBUTING.md", "pipeline/README.md", "benchmarks/README.md")
PINS = dict(line.split("==") for line in (ROOT / "requirements.lock").read_text().split())


def test_the_lock_pins_versions_that_everyone_can_install() -> None:
    assert PINS["torch"] == "2.13.0"
    assert not [name for name, version in PINS.items() if "+" in version]


def test_what_is_installed_is_what_the_lock_says() -> None:
    def normal(name: str) -> str:
        return re.sub(r"[-_.]+", "-", name).lower()

    installed = {normal(d.metadata["Name"]): d.version.partition("+")[0] for d in distributions()}
    pins = {normal(name): version for name, version in PINS.items()}
    wrong = {n: (v, pins[n]) for n, v in installed.items() if n in pins and pins[n] != v}
    assert not wrong, f"installed against requirements.lock: {wrong}; run `make setup`"


def test_dvc_lock_is_of_these_sources_and_parameters() -> None:
    shown = subprocess.run(
        ["dvc", "repro", "--dry", "--allow-missing"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert shown.returncode == 0, shown.stdout + shown.stderr
    assert "Running stage" not in shown.stdout, f"run `make repro` and commit dvc.lock:\n{shown.stdout}"


def test_readme_shows_the_figures_of_the_committed_reports() -> None:
    page = (ROOT / "README.md").read_text()
    shown = page.split(BEGIN)[1].split(END)[0].strip()
    assert shown == render(ROOT / "reports", ROOT / "models" / "finetuned").strip(), (
        "run `bhasa report --into README.md`"
    )


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page: str) -> None:
    for link in re.findall(r"\]\((?!http)([^)#]+)\)", (ROOT / page).read_text()):
        assert ((ROOT / page).parent / link).exists(), link


@pytest.mark.parametrize("page", [*PAGES, "CHANGELOG.md", "data/raw/README.md"])
def test_commands_that_are_named_exist(page: str) -> None:
    text = (ROOT / page).read_text()
    code = "\n".join(
        [*re.findall(r"^```\w*\n(.*?)^```", text, re.S | re.M), *re.findall(r"`([^`\n]+)`", text)]
    )
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert set(re.findall(r"^(?:\$ )?bhasa ([a-z]+)", code, re.MULTILINE)) <= {*VERBS, "help"}
    assert set(re.findall(r"^(?:[A-Z_]+=\S+ )?make ([a-z-]+)", code, re.MULTILINE)) <= set(targets)


def test_no_file_names_the_home_of_its_author() -> None:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True).stdout
    home = re.compile(rb"/(?:home|Users|root)/\w|C:\\\\Users")
    files = [ROOT / name for name in listed.decode().split("\0") if name and name != Path(__file__).name]
    assert not [path for path in files if path.is_file() and home.search(path.read_bytes())]


def test_folder_sources_are_watched_by_dvc() -> None:
    yaml = YAML(typ="safe")
    params, pipeline = (yaml.load((ROOT / name).read_text()) for name in ("params.yaml", "dvc.yaml"))
    folders = [source["path"] for source in params["ingest"]["sources"] if source["kind"] == "folder"]
    assert set(folders) <= set(pipeline["stages"]["ingest"]["deps"])


@pytest.mark.parametrize("name", ["README.md", "CHANGELOG.md", "CONTRIBUTING.md", "LICENSE"])
def test_the_usual_pages_are_there(name: str) -> None:
    assert (ROOT / name).stat().st_size > 200


@pytest.mark.parametrize("page", ["README.md", "data/raw/README.md"])
def test_every_format_that_a_table_names_is_read(page: str) -> None:
    table = (ROOT / page).read_text().split("| files |")[1].split("\n\n")[0]
    suffixes = re.findall(r"`(\.\w+)`", table)
    assert len(suffixes) > 20
    assert [suffix for suffix in suffixes if suffix not in READERS] == []
