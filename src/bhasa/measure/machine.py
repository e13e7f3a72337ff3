"""Where figures were taken: processor, versions, threads, commit, and how busy the machine was."""

import os
import platform
import subprocess
from collections.abc import Iterable
from importlib import metadata
from pathlib import Path
from typing import Any

import psutil
import torch

from bhasa import hardware
from bhasa.ops.operations import implementations

_TELLING = ("avx2", "fma", "f16c", "avx512f", "avx512_bf16", "avx512_vnni", "avx_vnni", "amx_bf16")


def describe(packages: Iterable[str] = ()) -> dict[str, Any]:
    """Plain JSON values; `packages` are peers whose versions matter, null where one is not installed."""
    model, flags = _processor()
    return {
        **hardware.machine(),
        "cpu": model,
        "flags": [flag for flag in _TELLING if flag in flags],
        "cores": psutil.cpu_count(logical=False),
        "memory_gb": round(psutil.virtual_memory().total / 1e9, 1),
        "load_average": round(os.getloadavg()[0], 2),
        "commit": _commit(),
        "backends": implementations(torch.device("cpu")),
        "packages": {name: version(name) for name in packages},
    }


def version(package: str) -> str | None:
    """The installed version, or None."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _processor() -> tuple[str, set[str]]:
    """Its name and its flags, as Linux tells them."""
    path = Path("/proc/cpuinfo")
    if not path.exists():
        return platform.processor() or platform.machine(), set()
    lines = [line.partition(":") for line in path.read_text(encoding="utf-8").splitlines()]
    first = {key.strip(): value.strip() for key, _, value in reversed(lines)}
    return first.get("model name", platform.machine()), set(first.get("flags", "").split())


def _commit() -> str | None:
    """The commit of these sources, marked where they were changed since; None outside a repository."""
    command = ["git", "describe", "--always", "--dirty", "--abbrev=12", "--exclude=*"]
    try:
        done = subprocess.run(command, cwd=Path(__file__).parent, capture_output=True, text=True, check=False)
    except OSError:  # no git here
        return None
    return done.stdout.strip() or None
