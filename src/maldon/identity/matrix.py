"""Who may do what: every rule, asked by every role in every scope about things near and far.

The answer to one such question is how far the power reaches: to what is the asker's own, to all that lies in the
token's project or domain, or to everything. It is had from the rules in force and from nothing else, by giving a rule
whatever targets it may ask about: so the page made of it follows an operator's overrides, and a test can hold it
against what the API really does.
"""

import re
from collections.abc import Iterable, Iterator, Mapping

from maldon.kernel.op import Actor
from maldon.web.policy import Policy
from maldon.web.service import AUTHENTICATED, PUBLIC, Service

ROLES = ("reader", "member", "manager", "admin")
SCOPES = ("project", "domain", "system")
REACHES = ("self", "scope", "all")
NOTHING = "-"
_KEY = re.compile(r"%\(([\w.]+)\)s")
# A target's keys by what they name; who asks about the own user is `me`, at home in `home`, with a project `here`.
_NEAR = {"user": "another", "domain": "home", "project": "here"}
_THINGS: Mapping[str, Mapping[str, str]] = {
    "self": {**_NEAR, "user": "me"},
    "scope": _NEAR,
    "all": {"user": "another", "domain": "abroad", "project": "there"},
}
_ORDINARY_ROLE = "member"


def asker(role: str, scope: str) -> Actor:
    """Somebody with a role, and what it implies, in a scope."""
    roles = ROLES[: ROLES.index(role) + 1]
    match scope:
        case "project":
            return Actor("me", "me", "home", "here", "here", "home", roles=roles)
        case "domain":
            return Actor("me", "me", "home", domain_id="home", roles=roles)
    return Actor("me", "me", "home", system=True, roles=roles)


def reach(policy: Policy, rule: str, role: str, scope: str) -> str:
    """How far a rule lets a role in a scope go: one of REACHES, or NOTHING."""
    creds, keys = asker(role, scope).creds, _keys(policy)
    allowed = [name for name in REACHES if policy.allows(rule, creds, _target(keys, _THINGS[name]))]
    return allowed[-1] if allowed else NOTHING


def _keys(policy: Policy) -> set[str]:
    return {key for name in policy.names() for key in _KEY.findall(policy.rule(name).check)}


def _target(keys: Iterable[str], things: Mapping[str, str]) -> dict[str, str]:
    found = {}
    for key in keys:
        noun = re.split(r"[._]", key.removesuffix(".id").removesuffix("_id"))[-1]
        if key.endswith("role.name"):
            found[key] = _ORDINARY_ROLE
        elif noun in things and key.endswith("id"):
            found[key] = things[noun]
    return found


def guarded_routes(service: Service) -> Iterator[tuple[str, str, str]]:
    """Method, path and rule of every route that asks one; HEAD goes with GET unless its rule is another."""
    for path, methods in service.routes.items():
        for method, (_, rule) in methods.items():
            twin = method == "HEAD" and methods.get("GET", ("", ""))[1] == rule
            if rule not in {PUBLIC, AUTHENTICATED} and not twin:
                yield method, path, rule


def cell(policy: Policy, rule: str, scope: str) -> str:
    """What the roles may in a scope, each named where it reaches farther than the one before."""
    said, before = [], NOTHING
    for role in ROLES:
        far = reach(policy, rule, role, scope)
        if far != before:
            said.append(f"{role}: {far}")
        before = far
    return ", ".join(said) or NOTHING


def page(service: Service) -> list[str]:
    """The table in Markdown, by the service's default rules."""
    policy = Policy(service.rules)
    lines = ["| Route | Rule | In a project | In a domain | In the system |", "|---|---|---|---|---|"]
    for method, path, rule in guarded_routes(service):
        cells = " | ".join(cell(policy, rule, scope) for scope in SCOPES)
        lines.append(f"| {method} {path} | `{rule}` | {cells} |")
    return lines
