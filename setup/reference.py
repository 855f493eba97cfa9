#!/usr/bin/env python3
"""Writes the reference pages of docs/: settings, policies, who may what, states, microversions.

`--check` only says what is stale.

.venv/bin/python setup/reference.py [--check]
"""

import dataclasses
import sys
import typing
from pathlib import Path

from maldon.compute.plan import states
from maldon.identity import matrix
from maldon.runtime.process import SERVICES
from maldon.runtime.settings import SECTIONS
from maldon.web.microversion import text
from maldon.web.service import PUBLIC

DOCS = Path(__file__).parents[1] / "docs"
NOTE = "<!-- written by setup/reference.py -->\n"


def settings() -> str:
    lines = ["# Settings\n", NOTE]
    lines.append("One file, `maldon.toml` in the home; none of it is required. A variable goes before the file.\n")
    for section, kind in SECTIONS.items():
        lines += [f"## [{section}]\n", "| Option | Variable | Default | |", "|---|---|---|---|"]
        for field in dataclasses.fields(kind):
            variable = f"MALDON_{section}_{field.name}".upper().replace("-", "_")
            lines.append(f"| `{field.name}` | `{variable}` | `{field.default!r}` | {field.metadata['help']} |")
        lines.append("")
    return "\n".join(lines)


def policies() -> str:
    lines = ["# Policies\n", NOTE]
    lines.append("The default rules. `policy.yaml` in the home overrides them, in oslo.policy's language.\n")
    for service in SERVICES.values():
        lines += [f"## {service.name}\n", "| Rule | Check | |", "|---|---|---|"]
        lines += [f"| `{rule.name}` | `{rule.check or '(anybody)'}` | {rule.help} |" for rule in service.rules]
        public = sorted(
            f"`{method} {path}`"
            for path, methods in service.routes.items()
            for method, (_, rule) in methods.items()
            if rule == PUBLIC
        )
        lines += ["", f"Without a token: {', '.join(public)}.\n"]
    return "\n".join(lines).replace(" | | ", " | - | ")


def identity_matrix() -> str:
    lines = ["# Who may do what in identity\n", NOTE]
    lines.append(
        "By the default rules, for every route that asks one. A role is named where it reaches farther than the one\n"
        "before it, which it implies; later roles reach as far. `self`: the own user and what belongs to it. `scope`:\n"
        "whatever lies in the project or domain of the token. `all`: everything. A list shows as much, but\n"
        "to a token of a domain it shows only what is in that, and where anybody may ask (limits, what a token\n"
        "opens), only the asker's own.\n"
    )
    return "\n".join([*lines, *matrix.page(SERVICES["identity-api"])]) + "\n"


def server_states() -> str:
    lines = ["# Server states\n", NOTE, "What a server is, what it may become, and what the API calls it.\n"]
    lines += ["| State | May become | Status |", "|---|---|---|"]
    for state, targets in states.MOVES.items():
        names = ", ".join(sorted(targets)) or "-"
        lines.append(f"| {state} | {names} | {states.STATUSES[state, None]} |")
    lines += ["", "What is being done, and in which states it may begin:\n", "| Task | Begins in |", "|---|---|"]
    lines += [f"| {task} | {', '.join(sorted(states.BEGINS.get(task, ()))) or '-'} |" for task in states.Task]
    return "\n".join(lines) + "\n"


def microversions() -> str:
    lines = ["# Microversions\n", NOTE, "| Service | Lowest | Highest |", "|---|---|---|"]
    lines += [
        f"| {service.name} | {text(service.versions.lowest)} | {text(service.versions.highest)} |"
        for service in SERVICES.values()
        if service.versions is not None
    ]
    return "\n".join(lines) + "\n"


PAGES: dict[str, typing.Callable[[], str]] = {
    "settings.md": settings,
    "policies.md": policies,
    "identity-matrix.md": identity_matrix,
    "states.md": server_states,
    "microversions.md": microversions,
}


def stale() -> list[str]:
    """The pages that are not as they would be written now."""
    return [name for name, page in PAGES.items() if not (DOCS / name).exists() or (DOCS / name).read_text() != page()]


if __name__ == "__main__":
    if "--check" in sys.argv:
        sys.exit(", ".join(f"docs/{name} is stale: run setup/reference.py" for name in stale()) or 0)
    for name, page in PAGES.items():
        (DOCS / name).write_text(page())
