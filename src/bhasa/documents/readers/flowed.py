"""Plain text in which lines that end in a space go on in the next one (RFC 3676, `format=flowed`)."""

from __future__ import annotations

SIGNATURE = "-- "


def unflowed(text: str, *, delete_spaces: bool = False) -> str:
    """The paragraphs, each on one line, quoted ones behind as many `>` as they had.

    With `delete_spaces` (`DelSp=yes`), the space at a line's end only said that it goes on.
    """
    lines: list[str] = []
    goes_on = False
    depth_before = 0
    for line in text.split("\n"):
        content = line.lstrip(">")
        depth = len(line) - len(content)
        content = content.removeprefix(" ")  # put there so that a line may begin with `>`
        is_signature = content == SIGNATURE
        if goes_on and depth == depth_before and not is_signature:
            lines.append(content)
        else:
            lines.append("\n" + ">" * depth + " " * bool(depth) + content)
        goes_on = content.endswith(" ") and not is_signature
        depth_before = depth
        if goes_on and delete_spaces:
            lines[-1] = lines[-1][:-1]
    return "".join(lines).removeprefix("\n")
