"""`bhasa doctor`: what this machine runs, what it does not, and why."""

from __future__ import annotations

import typer


def command() -> None:
    """Show versions, devices, and which implementation of each operation is used."""
    from rich.console import Console
    from rich.table import Table

    from bhasa.hardware import available_devices, machine
    from bhasa.ops.operations import missing_kernels

    console = Console()
    for name, value in machine().items():
        console.print(f"{name:<16} {value}", highlight=False)
    for device in available_devices():
        table = Table("operation", "used", "not usable, and why", title=f"on {device}", title_justify="left")
        for row in _operations(device):
            table.add_row(*row)
        console.print(table)
    typer.echo(missing_kernels() or "The native kernels are there.")


def _operations(device: str) -> list[tuple[str, str, str]]:
    import torch

    from bhasa.ops.operations import OPERATIONS, implementations

    where = torch.device(device)
    used = implementations(where)
    rows = []
    for name, backends in OPERATIONS.items():
        missing = [
            f"{implementation}: {why}"
            for implementation in backends
            if (why := backends.missing(implementation, where))
        ]
        rows.append((name, used[name], "; ".join(missing)))
    return rows
