"""Who may do what: named rules in the oslo.policy language, with an operator's overrides.

A room declares its rules beside its routes; `policy.yaml` replaces some of them. Everything is compiled when the Policy
is made, so a rule that cannot be honoured stops the start with a sentence instead of refusing somebody's request later:
a typing error in a rule's name, a rule that leads back to itself, a check that would ask another server.

An override may define a new name if a rule refers to it. A name nobody defined takes the rule "default", as in
oslo.policy; without one it is refused.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml

from maldon.web.policy_language import BadCheck, Check, compile_check, refuse, text_of_lists

_DEFAULT = "default"


class BadPolicy(Exception):
    """Rules that cannot be honoured; the text is a sentence for the operator."""


@dataclass(frozen=True, slots=True)
class Rule:
    """One thing somebody may want to do: its name, who may by default, and one sentence of help."""

    name: str
    check: str
    help: str


class Policy:
    """The rules in force. Raises BadPolicy when one of them cannot be honoured."""

    def __init__(self, rules: Iterable[Rule], overrides: Mapping[str, str] | None = None) -> None:
        self._rules: dict[str, Rule] = {}
        for rule in rules:
            if rule.name in self._rules:
                raise BadPolicy(f"Policy rule {rule.name!r} is declared twice.")
            self._rules[rule.name] = rule
        declared = frozenset(self._rules)
        for name, check in (overrides or {}).items():
            known = self._rules.get(name, Rule(name, check, "Defined by the operator."))
            self._rules[name] = replace(known, check=check)
        self._checks: dict[str, Check] = {}
        self._referred: set[str] = set()
        for name in self._rules:
            self._compile(name, ())
        self._otherwise = self._checks.get(_DEFAULT, refuse)
        self._refuse_unknown(self._rules.keys() - declared - self._referred - {_DEFAULT})

    def allows(self, name: str, creds: Mapping[str, Any], target: Mapping[str, Any]) -> bool:
        """Whether these credentials may do `name` to this target. The target's keys are flat ("target.user.id")."""
        return self._checks.get(name, self._otherwise)(creds, target)

    def rule(self, name: str) -> Rule:
        """The rule in force, overrides applied; KeyError when there is none."""
        return self._rules[name]

    def names(self) -> tuple[str, ...]:
        """Every rule's name, sorted."""
        return tuple(sorted(self._rules))

    def _compile(self, name: str, within: tuple[str, ...]) -> Check:
        """The verdict function of a rule, made after those it refers to; `within` is the way that led here."""
        if name in within:
            way = " -> ".join((*within[within.index(name) :], name))
            raise BadPolicy(f"Policy rule {name!r} leads back to itself: {way}.")
        if name not in self._rules:
            return self._compile(_DEFAULT, within) if _DEFAULT in self._rules else refuse
        if name not in self._checks:
            self._checks[name] = self._compiled(self._rules[name], (*within, name))
        return self._checks[name]

    def _compiled(self, rule: Rule, within: tuple[str, ...]) -> Check:
        def resolve(other: str) -> Check:
            self._referred.add(other)
            return self._compile(other, within)

        try:
            return compile_check(rule.check, resolve)
        except BadCheck as error:
            raise BadPolicy(f"Policy rule {rule.name!r} cannot be read: {error}.") from error

    def _refuse_unknown(self, names: Iterable[str]) -> None:
        if unknown := sorted(names):
            listed = ", ".join(repr(name) for name in unknown)
            raise BadPolicy(f"The policy overrides name rules that do not exist and that no rule refers to: {listed}.")


def load_overrides(path: Path) -> dict[str, str]:
    """The rules of a policy.yaml (or .json) by name, as text; none when there is no file. Raises BadPolicy."""
    try:
        content = yaml.safe_load(path.read_bytes())
    except FileNotFoundError:
        return {}
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise BadPolicy(f"{path} is not YAML: {' '.join(str(error).split())}.") from error
    if content is None:
        return {}
    if not isinstance(content, dict):
        raise BadPolicy(f"{path} must map rule names to checks.")
    return {_name(path, name): _text(path, name, check) for name, check in content.items()}


def _name(path: Path, name: object) -> str:
    if not isinstance(name, str):
        raise BadPolicy(f"{path}: the rule name {name!r} is not text.")
    return name


def _text(path: Path, name: str, check: object) -> str:
    if not isinstance(check, str | list):
        raise BadPolicy(f'{path}: rule {name!r} is not text; write "" to allow everybody or "!" to allow nobody.')
    try:
        text = check if isinstance(check, str) else text_of_lists(check)
        compile_check(text, lambda _name: refuse)
    except BadCheck as error:
        raise BadPolicy(f"{path}: rule {name!r} cannot be read: {error}.") from error
    return text
