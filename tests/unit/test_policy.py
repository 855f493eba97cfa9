"""The policy language gives oslo.policy's verdicts, and says at the start what oslo.policy would say too late."""

import contextlib
from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from oslo_config import cfg
from oslo_policy import _parser, policy

from maldon.web.policy import BadPolicy, Policy, Rule, load_overrides
from maldon.web.policy_language import text_of_lists

IDS = st.sampled_from(["a", "b", "None", "True", "admin", "Member"])
VALUES = IDS | st.none() | st.booleans() | st.integers(0, 3)
KEYS = ["user_id", "project_id", "target.user.id", "x"]
NAMES = ["r0", "r1", "r2"]
RIGHT = (
    IDS
    | st.sampled_from(KEYS).map(lambda key: f"%({key})s")
    | st.builds(lambda a, key, b: f"{a}%({key})s%%:{b}", IDS, st.sampled_from(KEYS), IDS)
)
LEFT = st.sampled_from(
    [
        "user_id",
        "project_id",
        "is_admin",
        "system_scope",
        "system",
        "roles",
        "token.user.id",
        "token.groups.id",
        "token.none.id",
        "absent",
        "a.b.c",
        "'Member'",
        '"a"',
        "None",
        "True",
        "1",
        "[1,2]",
    ]
)
CHECKS = (
    st.sampled_from(["@", "!"])
    | st.builds("role:{}".format, RIGHT)
    | st.builds("rule:{}".format, st.sampled_from([*NAMES, "nowhere"]))
    | st.builds("{}:{}".format, LEFT, RIGHT)
)
AND, OR, NOT = (st.sampled_from([word, word.upper()]) for word in ("and", "or", "not"))


def grown(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return (
        st.builds("{} {} {}".format, inner, AND | OR, inner)
        | st.builds("{} {}".format, NOT, inner)
        | st.builds("({})".format, inner)
        | st.builds("( {}  )".format, inner)
    )


TEXTS = st.just("") | st.recursive(CHECKS, grown, max_leaves=8)
SCRAMBLED = st.lists(st.sampled_from(["and", "or", "not", "(", ")", "@", "!", "role:a", "(@)"]), max_size=9).map(
    " ".join
)
GROUPS = st.lists(st.fixed_dictionaries({"id": VALUES}), max_size=2)
CREDS = st.fixed_dictionaries(
    {},
    optional={
        "user_id": VALUES,
        "project_id": VALUES,
        "is_admin": st.booleans(),
        "system_scope": st.sampled_from([None, "all", "a"]),
        "roles": st.lists(st.sampled_from(["a", "A", "Admin", "member"]), max_size=3),
        "token": st.fixed_dictionaries({}, optional={"user": st.fixed_dictionaries({"id": VALUES}), "groups": GROUPS}),
    },
)
TARGETS = st.dictionaries(st.sampled_from(KEYS), VALUES)


@pytest.fixture(scope="module")
def oslo():
    """oslo.policy's verdict on the rule r0."""
    conf = cfg.ConfigOpts()
    conf([])
    enforcer = policy.Enforcer(conf, use_conf=False)

    def verdict(rules: Mapping[str, str], creds: Mapping[str, Any], target: Mapping[str, Any]) -> bool:
        enforcer.set_rules(policy.Rules.from_dict(dict(rules), "default"))
        return bool(enforcer.enforce("r0", dict(target), dict(creds)))

    return verdict


def declared(rules: Mapping[str, str]) -> Policy:
    return Policy(Rule(name, check, "") for name, check in rules.items())


def onward(text: str, names: Sequence[str]) -> str:
    """The text without the ways back that would close a circle."""
    for name in names:
        text = text.replace(f"rule:{name}", "rule:nowhere")
    return text


@given(texts=st.lists(TEXTS, min_size=1, max_size=3), default=st.none() | TEXTS, creds=CREDS, target=TARGETS)
def test_a_verdict_is_that_of_oslo_policy(oslo, texts, default, creds, target):
    rules = {name: onward(text, NAMES[: at + 1]) for at, (name, text) in enumerate(zip(NAMES, texts, strict=False))}
    if default is not None:
        rules["default"] = default.replace("rule:", "role:")
    assert declared(rules).allows("r0", creds, target) is oslo(rules, creds, target)


@given(text=SCRAMBLED)
def test_a_rule_is_refused_at_the_start_exactly_when_oslo_cannot_parse_it(oslo, text):
    creds = {"roles": ["a"]}
    try:
        ours = declared({"r0": text}).allows("r0", creds, {})
    except BadPolicy:
        assert isinstance(_parser.parse_rule(text), _parser._checks.FalseCheck)
    else:
        assert ours is oslo({"r0": text}, creds, {})


@given(st.text() | st.text("()andornt:'\"%s@! x"))
def test_no_text_does_worse_than_being_refused(text):
    with contextlib.suppress(BadPolicy):
        assert declared({"r0": text}).allows("r0", {}, {}) in {True, False}


LISTED = CHECKS.filter(lambda check: check != "rule:r0")
OTHERS = {"r1": "role:a", "r2": "not role:a"}


@given(lists=st.lists(LISTED | st.lists(LISTED, max_size=3), max_size=3), creds=CREDS, target=TARGETS)
def test_the_old_list_form_means_the_same(oslo, lists, creds, target):
    rules = {"r0": text_of_lists(lists), **OTHERS}
    assert declared(rules).allows("r0", creds, target) is oslo({"r0": lists, **OTHERS}, creds, target)


def test_a_name_nobody_declared_is_refused_or_takes_the_default():
    assert not Policy([]).allows("nowhere", {"roles": ["admin"]}, {})
    assert Policy([Rule("default", "role:admin", "")]).allows("nowhere", {"roles": ["Admin"]}, {})


@pytest.mark.parametrize(
    ("rules", "said"),
    [
        ({"a": "rule:b", "b": "@ and rule:c", "c": "not rule:a"}, "a -> b -> c -> a"),
        ({"a": "rule:a"}, "a -> a"),
        ({"default": "rule:nowhere"}, "default -> default"),
        ({"a": "http://example.org/%(id)s"}, "another server"),
        ({"a": "role:x or https://example.org"}, "another server"),
        ({"a": "role:x role:y"}, "'role:y' stands where"),
        ({"a": "(role:x"}, "not closed"),
        ({"a": "role:x and"}, "ends where"),
        ({"a": "admin"}, "'admin' is no check"),
        ({"a": "not(role:x)"}, "on the left of a colon"),
        ({"a": "user_id:%(user_id)d"}, "may use"),
        ({"a": "user_id:100%"}, "may use"),
        ({"a": "(" * 100_000 + "@" + ")" * 100_000}, "nested too deeply"),
    ],
)
def test_a_rule_that_cannot_be_honoured_stops_the_start(rules, said):
    with pytest.raises(BadPolicy) as caught:
        declared(rules)
    assert said in str(caught.value)
    assert str(caught.value).count("Policy rule") == 1


def test_overrides_replace_checks_and_keep_the_help(tmp_path):
    file = tmp_path / "policy.yaml"
    file.write_text('"server:list": "rule:auditor"\nauditor: [["role:audit"], ["role:admin", "user_id:root"]]\n')
    rules = Policy([Rule("server:list", "role:member", "List servers.")], load_overrides(file))
    assert rules.names() == ("auditor", "server:list")
    assert rules.rule("server:list") == Rule("server:list", "rule:auditor", "List servers.")
    verdicts = [
        rules.allows("server:list", {"roles": [role], "user_id": "root"}, {}) for role in ("member", "audit", "admin")
    ]
    assert verdicts == [False, True, True]


def test_an_override_of_a_rule_that_does_not_exist_is_refused():
    with pytest.raises(BadPolicy, match="'server:lst'"):
        Policy([Rule("server:list", "@", "")], {"server:lst": "!", "server:list": "!"})


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: [", "is not YAML"),
        ("- a", "must map"),
        ("1: '@'", "not text"),
        ("a:", "is not text; write"),
        ("a: true", "is not text; write"),
        ("a: 'role:x and'", "ends where"),
        ("a: [[1]]", "neither a check"),
        ("a: ['role:x or role:y']", "neither a check"),
    ],
)
def test_a_bad_policy_file_is_named_with_the_rule(tmp_path, text, said):
    file = tmp_path / "policy.yaml"
    file.write_text(text)
    with pytest.raises(BadPolicy) as caught:
        load_overrides(file)
    assert said in str(caught.value)
    assert str(file) in str(caught.value)


@pytest.mark.parametrize("text", ["", "# nothing\n", "{}"])
def test_an_empty_policy_file_overrides_nothing(tmp_path, text):
    file = tmp_path / "policy.yaml"
    assert load_overrides(file) == {}
    file.write_text(text)
    assert load_overrides(file) == {}
