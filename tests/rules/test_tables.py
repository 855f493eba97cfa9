"""What is written as data holds together: routes, rules, options, sagas."""

import dataclasses
import inspect
import re

import pytest

from maldon.compute import service as compute
from maldon.runtime.process import SERVICES
from maldon.runtime.settings import SECTIONS
from maldon.web.service import AUTHENTICATED, PUBLIC

ROUTES = [
    (service, path, method, rule)
    for service in SERVICES.values()
    for path, methods in service.routes.items()
    for method, (_, rule) in methods.items()
]


@pytest.mark.parametrize(("service", "path", "method", "rule"), ROUTES, ids=lambda v: getattr(v, "name", str(v)))
def test_every_route_has_a_policy(service, path, method, rule):
    assert rule in {PUBLIC, AUTHENTICATED} or rule in {r.name for r in service.rules}
    assert method in {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"}


def test_only_what_tells_versions_and_logs_in_is_public():
    discovery = re.compile(r"/(v\d[\d.]*/?)?|/versions/?")
    public = {(service.name, method, path) for service, path, method, rule in ROUTES if rule == PUBLIC}
    others = {route for route in public if not discovery.fullmatch(route[2])}
    shown = ("/v3/auth/tokens", "/v3/users/{user_id}/password")
    signed = ("/v3/OS-OAUTH1/request_token", "/v3/OS-OAUTH1/access_token", "/v3/OS-OAUTH2/token")
    assert others == {("identity", "POST", path) for path in (*shown, *signed)}


@pytest.mark.parametrize("rule", [r for s in SERVICES.values() for r in s.rules], ids=lambda r: r.name)
def test_every_rule_has_a_help_sentence(rule):
    assert rule.help.endswith(".")


@pytest.mark.parametrize("section", SECTIONS)
def test_every_option_has_a_default_and_a_help_sentence(section):
    for field in dataclasses.fields(SECTIONS[section]):
        assert field.metadata.get("help", "").endswith("."), field.name
        assert field.default is not dataclasses.MISSING, field.name


@pytest.mark.parametrize("saga", compute.SAGAS, ids=lambda s: s.kind)
def test_every_saga_can_be_given_up(saga):
    assert len({step.name for step in saga.steps}) == len(saga.steps)
    assert saga.give_up is not None
    for step in saga.steps:
        assert inspect.iscoroutinefunction(step.do)
