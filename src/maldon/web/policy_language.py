"""The oslo.policy rule language, compiled to closures.

    @  !  ""                         everybody, nobody, everybody
    role:admin                       the asker has the role, in any case of letters
    rule:owner                       another rule
    user_id:%(user_id)s              a credential equals what stands right, filled in from the target
    token.user.id:%(x)s              a path into the credentials; any element of a list on the way will do
    'Member':%(role.name)s           a Python literal equals it
    not, and, or, ( )                in this order of strength

Target keys are flat: `%(target.user.id)s` is the key "target.user.id". Verdicts are oslo.policy's, with one difference:
what it would refuse at run time with a log line or a traceback is here refused when the rule is read, in a sentence.
Constants are folded, so that `rule:admin or @` costs nothing.
"""

import ast
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

Credentials = Mapping[str, Any]
Target = Mapping[str, Any]
Check = Callable[[Credentials, Target], bool]
Resolve = Callable[[str], Check]

_FILL = re.compile(r"%(?:\(([^()]*)\)s|(%))")
_REMOTE = frozenset({"http", "https", "remote"})
_ABSENT = object()


class BadCheck(Exception):
    """A check that cannot be honoured; the text ends a sentence that begins with the rule's name."""


def allow(_creds: Credentials, _target: Target) -> bool:
    """Everybody may."""
    return True


def refuse(_creds: Credentials, _target: Target) -> bool:
    """Nobody may."""
    return False


def compile_check(text: str, resolve: Resolve) -> Check:
    """The verdict function of a rule's text; `resolve` gives the function of a rule by name. Raises BadCheck."""
    if not text:
        return allow
    tokens = _tokens(text)
    try:
        check = _any_of(tokens, resolve)
    except RecursionError as error:
        raise BadCheck(f"it is nested too deeply, near {text[:40]!r}") from error
    if tokens:
        raise BadCheck(f"{tokens[-1]!r} stands where 'and', 'or' or the end should be in {text!r}")
    return check


def text_of_lists(rule: Sequence[object]) -> str:
    """The same rule as text; the old form lists alternatives, each a check or a list of checks that must all hold."""
    if not rule:
        return "@"
    alternatives: list[list[str]] = []
    for part in filter(None, rule):
        checks = [part] if isinstance(part, str) else part
        if not isinstance(checks, list) or not all(isinstance(c, str) and _is_one_check(c) for c in checks):
            raise BadCheck(f"{checks!r} is neither a check nor a list of checks")
        alternatives.append(checks)
    return " or ".join(f"({' and '.join(part)})" for part in alternatives) or "!"


def _is_one_check(text: str) -> bool:
    return len(text.split()) == 1 and text.strip("()") == text


def _tokens(text: str) -> list[str]:
    """Words and parentheses, last first; a parenthesis inside a word belongs to the word."""
    tokens: list[str] = []
    for word in text.split():
        opened = word.lstrip("(")
        bare = opened.rstrip(")")
        tokens += "(" * (len(word) - len(opened))
        tokens += [bare] if bare else []
        tokens += ")" * (len(opened) - len(bare))
    tokens.reverse()
    return tokens


def _next_is(tokens: list[str], word: str) -> bool:
    if tokens and tokens[-1].lower() == word:
        tokens.pop()
        return True
    return False


def _any_of(tokens: list[str], resolve: Resolve) -> Check:
    checks = [_all_of(tokens, resolve)]
    while _next_is(tokens, "or"):
        checks.append(_all_of(tokens, resolve))
    checks = [check for check in checks if check is not refuse]
    if allow in checks:
        return allow
    return _chain(checks, _either, empty=refuse)


def _all_of(tokens: list[str], resolve: Resolve) -> Check:
    checks = [_one(tokens, resolve)]
    while _next_is(tokens, "and"):
        checks.append(_one(tokens, resolve))
    checks = [check for check in checks if check is not allow]
    if refuse in checks:
        return refuse
    return _chain(checks, _both, empty=allow)


def _one(tokens: list[str], resolve: Resolve) -> Check:
    if not tokens:
        raise BadCheck("it ends where a check should be")
    if _next_is(tokens, "not"):
        return _negation(_one(tokens, resolve))
    if _next_is(tokens, "("):
        check = _any_of(tokens, resolve)
        if not _next_is(tokens, ")"):
            raise BadCheck("a parenthesis is not closed")
        return check
    return _atom(tokens.pop(), resolve)


def _atom(text: str, resolve: Resolve) -> Check:
    if text == "@":
        return allow
    if text == "!":
        return refuse
    kind, colon, match = text.partition(":")
    quoted = len(text) > 1 and text[0] == text[-1] and text[0] in "'\""
    if not colon or quoted or text.lower() in {"and", "or", "not"}:
        raise BadCheck(f"{text!r} is no check; a check is '@', '!' or KIND:VALUE")
    if kind in _REMOTE:
        raise BadCheck(f"{text!r} would ask another server for the verdict, which is not supported")
    if kind == "rule":
        return resolve(match)
    if kind == "role":
        return _role(match)
    return _comparison(kind, match)


def _negation(check: Check) -> Check:
    if check is allow:
        return refuse
    if check is refuse:
        return allow
    return lambda creds, target: not check(creds, target)


def _chain(checks: list[Check], join: Callable[[Check, Check], Check], *, empty: Check) -> Check:
    """Joined as a balanced tree, so that a rule of a thousand parts calls ten deep."""
    if len(checks) < 2:
        return checks[0] if checks else empty
    half = len(checks) // 2
    return join(_chain(checks[:half], join, empty=empty), _chain(checks[half:], join, empty=empty))


def _either(first: Check, second: Check) -> Check:
    return lambda creds, target: first(creds, target) or second(creds, target)


def _both(first: Check, second: Check) -> Check:
    return lambda creds, target: first(creds, target) and second(creds, target)


def _role(match: str) -> Check:
    fill = _template(match)
    if isinstance(fill, str):
        return _fixed_role(fill.lower())

    def check(creds: Credentials, target: Target) -> bool:
        try:
            name = fill(target).lower()
        except KeyError:
            return False
        return name in map(str.lower, creds.get("roles") or ())

    return check


def _fixed_role(name: str) -> Check:
    def check(creds: Credentials, _target: Target) -> bool:
        roles = creds.get("roles") or ()
        return name in roles or name in map(str.lower, roles)  # lower case already, mostly

    return check


def _comparison(kind: str, match: str) -> Check:
    fill = _template(match)
    literal = _literal(kind)
    if isinstance(literal, str):
        return _literal_equals(literal, fill)
    path = kind.split(".")
    plain = _FILL.fullmatch(match)
    if len(path) == 1 and plain and plain[1] is not None and kind != "system":
        return _same(kind, plain[1])

    def check(creds: Credentials, target: Target) -> bool:
        try:
            wanted = fill if isinstance(fill, str) else fill(target)
        except KeyError:
            return False
        return _found(_root(creds, path[0]), path, 1, wanted)

    return check


def _literal_equals(literal: str, fill: str | Callable[[Target], str]) -> Check:
    if isinstance(fill, str):
        return allow if literal == fill else refuse

    def check(_creds: Credentials, target: Target) -> bool:
        try:
            return fill(target) == literal
        except KeyError:
            return False

    return check


def _same(credential: str, name: str) -> Check:
    """`user_id:%(user_id)s`, the commonest check of all: no path, no text around the key."""
    path = [credential]

    def check(creds: Credentials, target: Target) -> bool:
        try:
            seen, wanted = creds[credential], target[name]
        except KeyError:
            return False
        if seen.__class__ is str and wanted.__class__ is str:
            return bool(seen == wanted)
        return _found(seen, path, 1, str(wanted))

    return check


def _root(creds: Credentials, name: str) -> object:
    if name == "system":  # its old name, which rules still use
        return creds.get("system_scope") or creds.get(name, _ABSENT)
    return creds.get(name, _ABSENT)


def _found(seen: Any, path: Sequence[str], depth: int, wanted: str) -> bool:
    """Whether `seen`, reached by the first `depth` names of the path, holds the wanted text below the rest of it."""
    if seen.__class__ is list or seen.__class__ is tuple:
        return any(_below(element, path, depth, wanted) for element in seen)
    return _below(seen, path, depth, wanted)


def _below(seen: Any, path: Sequence[str], depth: int, wanted: str) -> bool:
    if depth == len(path):
        return seen is not _ABSENT and str(seen) == wanted
    try:
        inner = seen[path[depth]]
    except (KeyError, TypeError):  # TypeError: the path goes on where the credentials end
        return False
    return _found(inner, path, depth + 1, wanted)


def _literal(kind: str) -> str | None:
    """The text of a Python literal; None when `kind` is a path into the credentials."""
    try:
        return str(ast.literal_eval(kind))
    except ValueError:
        return None
    except (SyntaxError, TypeError, MemoryError) as error:
        raise BadCheck(f"{kind!r} on the left of a colon is neither a credential nor a literal") from error


def _template(match: str) -> str | Callable[[Target], str]:
    """The right side: a constant, or a function that fills it in and raises KeyError for what the target lacks."""
    if "%" in _FILL.sub("", match):
        raise BadCheck(f"{match!r} may use %(name)s and %% only")
    if any(name for name, _ in _FILL.findall(match)):
        return _filler(match)
    return match % {}


def _filler(match: str) -> Callable[[Target], str]:
    plain = _FILL.fullmatch(match)
    if plain and plain[1] is not None:
        name = plain[1]
        return lambda target: str(target[name])
    return lambda target: match % target
