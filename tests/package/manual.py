"""docs/OPERATING.md, as what it tells people to type."""

import re
from pathlib import Path

MANUAL = Path(__file__).parents[2] / "docs/OPERATING.md"


def blocks() -> dict[str, list[list[str]]]:
    """Its blocks of commands, by the heading that they stand under; each is a list of lines."""
    found: dict[str, list[list[str]]] = {}
    heading = ""
    for line in re.findall(r"^#+ [^\n]*$|^```sh\n.*?^```$", MANUAL.read_text(), re.MULTILINE | re.DOTALL):
        if line.startswith("#"):
            heading = line.lstrip("# ")
        else:
            found.setdefault(heading, []).append(line.splitlines()[1:-1])
    return found
