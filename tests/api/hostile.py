"""What is sent to do harm, and how an answer is judged. Data, and functions without a cloud."""

import copy
import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from hypothesis import strategies as st

from tests.api.good_bodies import Route
from tests.harness import Answer

BAD = {400}
HUGE = "1e400-without-quotes"
# Name, bytes, allowed statuses. An empty object is right for some routes.
RAW: tuple[tuple[str, bytes, set[int]], ...] = (
    ("nothing", b"", BAD),
    ("an open brace", b"{", BAD),
    ("no UTF-8", b'{"a": "\xff\xfe"}', BAD),
    ("null", b"null", BAD),
    ("a number", b"3", BAD),
    ("a text", b'"x"', BAD),
    ("a list of texts", b'["x"]', BAD),
    ("a list of lists", b"[[[]]]", BAD),
    ("a key of nothing", b'{"": 1}', BAD),
    ("not a number", b'{"a": NaN}', BAD),
    ("two values", b"{} {}", BAD),
    ("a byte order mark", b"\xef\xbb\xbf{}", BAD),
    ("deep objects", b'{"a":' * 20_000 + b"1" + b"}" * 20_000, BAD),
    ("deep lists", b"[" * 100_000, BAD),
    ("2 MiB", b'{"a": "' + b"x" * (2 << 20) + b'"}', {400, 413}),
)
IDS = (
    "00000000-0000-4000-8000-000000000000",
    "0" * 32,
    "not-an-id",
    "x" * 300,
    "%00",
    "a%00b",
    "%ff%fe",
    "..",
    "..%2f..%2fetc%2fpasswd",
    "%E2%98%83",
    "%F0%9F%92%A9",
    "%20",
    "a%20b",
    "'%3B%20DROP%20TABLE%20servers%3B--",
    "%25",
    "_",
    "-1",
    "9" * 40,
    "%0d%0aX-Evil:%201",
)
PAGING = (
    "limit=-1",
    "limit=abc",
    "limit=1.5",
    f"limit={2**70}",
    "limit=",
    "marker=00000000-0000-4000-8000-000000000000",
)
QUERIES = (
    *PAGING,
    "limit=0",
    "limit=%D9%A3",
    "limit=1&limit=2",
    "marker=not-an-id",
    "marker=",
    "marker=" + "x" * 300,
    "marker=a&marker=b",
    "sort_key=unknown",
    "sort_key=id&sort_key=id&sort_dir=asc",
    "sort_key=id&sort_dir=sideways",
    "sort_dir=asc&sort_dir=desc",
    "sort=id:sideways,,:",
    "sort_key=__class__",
    "fields=weird",
    "fields=id&fields=id&fields=",
    "name=%25",
    "name=_",
    "name=(a%2B)%2B%24",
    "name=(",
    "name=*",
    "name=%5C",
    "name=" + "(a|aa)%2B" * 20 + "%24",
    "id=a&id=b&id=",
    "status=nonsense",
    "visibility=nonsense",
    "member_status=nonsense",
    "size_min=x",
    "size_max=-1",
    f"size_min={2**70}",
    f"min_ram={2**70}&min_disk=x",
    "created_at=gt:nonsense",
    "created_at=gt:9999-99-99T99:99:99Z",
    "updated_at=0001-01-01T00:00:00Z",
    "changes-since=nonsense",
    "changes-since=9999999-01-01",
    "changes-before=0001-01-01T00:00:00-23:59",
    "deleted=maybe",
    "all_tenants=maybe",
    "enabled=maybe",
    "ip=(",
    "ip=999.1.1.1",
    "ip6=(",
    "tags=a,b,,",
    "not-tags-any=%25",
    "admin_state_up=maybe",
    "shared=maybe",
    "mtu=abc",
    f"mtu={2**70}",
    f"port_range_min={2**63}",
    "revision_number=abc",
    f"revision_number={2**70}",
    "fixed_ips=nonsense",
    "fixed_ips=ip_address",
    "fixed_ips=ip_address=",
    "fixed_ips=subnet_id=x&fixed_ips=ip_address%3D(",
    "fixed_ips=a%3Db",
    "router:external=maybe",
    "security_groups=x",
    "binding:profile=x",
    "allocation_pools=x",
    "dns_nameservers=x",
    "id__contains=%25",
    "name__regex=(",
    "name__unknown=x",
    "parent_id=x&is_domain=maybe",
    "resources=VCPU",
    "resources=VCPU:x",
    f"resources=VCPU:{2**70}",
    "resources=VCPU:-1",
    "resources=NOTHING:1",
    "resources=VCPU:1&required=!!X&member_of=in:",
    "required=%21",
    "in_tree=x",
    "group_policy=x",
    "project_id=x&user_id=y",
    "start=nonsense&end=nonsense",
    "start=9999-01-01&end=0001-01-01",
    "detailed=x",
    "flavor=(",
    "host=(",
    "is_public=maybe",
    "minRam=x",
    f"minDisk={2**70}",
    "since=abc",
    f"since={2**70}",
    "wait=-1",
    "locked=maybe",
    "power_state=x",
    "vm_state=x",
    "launch_index=x",
    f"launch_index={2**70}",
    "launched_at=x",
    "metadata=x",
    "metadata=%7B%22a%22:%22b%22%7D",
    "metadata=%7B",
    "config_drive=x",
    "availability_zone=%00",
    "a=%ff",
    "%ff=a",
    "name=%00",
    "%00=x",
    "name=%ED%A0%80",
    "name=%F0%9F%92%A9",
    "&&&=&=",
    "%",
    "a" * 9000,
    "name=" + "x" * 8000,
    "&".join(f"a{n}={n}" for n in range(900)),
    "&".join("id=00000000-0000-4000-8000-000000000000" for _ in range(180)),
)
HEADERS = (
    {"X_Auth_Token": "\u2603"},
    {"X_Auth_Token": "x" * 70_000},
    {"X_Auth_Token": "gAAAAAB="},
    {"X_Subject_Token": "\u2603"},
    {"X_Subject_Token": "x" * 70_000},
    {"Content_Length": "-1"},
    {"Content_Length": "abc"},
    {"Content_Length": "9" * 40},
    {"Content_Type": "\u2603"},
    {"Content_Type": "application/json; charset=utf-7"},
    {"Content_Type": ";;;,"},
    {"Accept": "\u2603"},
    {"Accept": "application/xml, */*;q=x"},
    {"Accept_Encoding": "nonsense"},
    {"Content_Encoding": "gzip"},
    {"Host": "\u2603"},
    {"Host": "a b\tc"},
    {"X_Forwarded_Host": "\u2603, x", "X_Forwarded_Proto": "javascript"},
    {"Forwarded": 'for=;host=";proto'},
    {"If_Match": "revision_number=abc"},
    {"If_Match": f"revision_number={2**70}"},
    {"If_None_Match": "\u2603"},
    {"If_Modified_Since": "yesterday"},
    {"Range": "bytes=9-1,x-"},
    {"Range": f"bytes={2**70}-"},
    {"Content_Range": "bytes 1-2/x"},
    {"Expect": "nonsense"},
    {"Cookie": "\u2603=;;"},
    {"OpenStack_API_Version": "compute,,placement 1.39;compute latest"},
    {"OpenStack_API_Version": "identity 9.9, compute 2.1, placement 1.0"},
    {"X_OpenStack_Nova_API_Version": "\u2603"},
)
# Things of the project demo, by their keys in `Whole.things`.
OF_DEMO = frozenset(
    {
        *("networks", "subnets", "subnetpools", "ports", "routers", "floatingips", "security-groups"),
        *("security-group-rules", "queued", "staged", "to stage", "servers", "os-interface", "os-instance-actions"),
        *("os-server-groups", "os-keypairs", "demo"),
    }
)
# What is right after all: patterns of the route's key, the place in the body, what is wrong there.
RIGHT = (
    ("POST /compute/v2.1/flavors", r"flavor\.rxtx_factor", r"2\*\*70"),  # any positive float
    (r"\w+ /compute/v2.1/flavors/{id}/os-extra_specs.*", r"(extra_specs\.)?k", r"2\*\*\d+"),  # numbers are kept as text
    ("PATCH /image/v2/images/{id}", r"\d", "an unknown field"),  # RFC 6902: ignored
    ("POST /image/v2/images/{id}/import", "(method)?", "an unknown field"),  # other methods have more
    (r"\w+ /image/v2/images/{id}/members.*", "", "an unknown field"),  # openstacksdk sends back all it knows
    (r"\w+ /identity/.*", r"(?!.*\.filters$).*", "an unknown field"),  # kept, as Keystone does
    (r"\w+ /identity/v3/policies.*", r"policy\.blob.*", r".*"),  # a document of any kind
    (r"\w+ /compute/agent/.*", r".*", "an unknown field"),  # an agent may be newer than the cloud
    (r"POST /compute/agent/.*/jobs/{job}", "output|error", "300,000 characters"),  # a console log is long
    (r"POST /compute/agent/.*/guests", r"0\.error", "300,000 characters"),
    (r"POST /compute/agent/.*/jobs/{job}", "", "no UTF-8|a key of nothing|2 MiB"),
)
_SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.sampled_from([2**31, 2**32, 2**53, 2**63 - 1, 2**63, 2**64, 2**70, -(2**63), HUGE, "", " ", "default", "::1"])
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=20)
    | st.ip_addresses().map(str)
    | st.uuids().map(str)
)
ANY_JSON = st.recursive(
    _SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=8,
)
UNFIT = {
    "2**31": 2**31,
    "2**63-1": 2**63 - 1,
    "2**63": 2**63,
    "2**70": 2**70,
    "-2**63": -(2**63),
    "1e400": HUGE,
    "NUL": "a\x00b",
    "half a surrogate pair": "\udc00",
    "four bytes": "\U0001f4a9" * 3,
    "255 of four bytes": "\U0001f4a9" * 255,
    "256 letters": "x" * 256,
    "70,000 letters": "x" * 70_000,
    "a space at the end": "default ",
}
UNFIT_QUERIES = (
    *(
        f"{name}={2**31}&x={2**63}"
        for name in ("limit", "mtu", "min_ram", "launch_index", "port_range_min", "size_min")
    ),
    *(f"{name}={2**70}" for name in ("limit", "mtu", "min_ram", "revision_number", "since", "minRam", "wait")),
    *(f"{name}=%F0%9F%92%A9" for name in ("name", "marker", "id", "status", "sort_key", "tags", "fields", "ip")),
    *(f"name={bad}" for bad in ("%5C", "%25", "_", "(a%2B)%2B%24", "(", "[[:alpha:", "%27%22%60", "x" * 4000)),
)


def encoded(body: Any) -> bytes:
    """JSON, with what only a raw text can say."""
    return json.dumps(body).replace(json.dumps(HUGE), "1e400").encode()


def spots(body: Any, above: tuple[Any, ...] = ()) -> Iterator[tuple[tuple[Any, ...], Any]]:
    """The path of every value in a body, and the value."""
    if above:
        yield above, body
    items = body.items() if isinstance(body, dict) else enumerate(body) if isinstance(body, list) else ()
    for key, inner in items:
        yield from spots(inner, (*above, key))


def put(body: Any, where: tuple[Any, ...], value: Any) -> Any:
    """The body with another value in one place."""
    made = copy.deepcopy(body)
    inner = made
    for key in where[:-1]:
        inner = inner[key]
    inner[where[-1]] = value
    return made


def spoilt(route: Route, body: Any) -> Iterator[tuple[tuple[Any, ...], str, bytes]]:
    """The good body with one thing wrong: where, what, and its bytes. Every one must be refused."""
    for where, value in spots(body):
        tries = [(name, put(body, where, bad)) for name, bad in wrong_values(value)]
        if isinstance(value, dict):
            tries.append(("an unknown field", put(body, (*where, "an_unknown_field"), {"x": [1]})))
        for name, spoilt_body in tries:
            if not right(route, where, name):
                yield where, name, encoded(spoilt_body)
    if isinstance(body, dict) and not right(route, (), "an unknown field"):
        yield (), "an unknown field", encoded({**body, "an_unknown_field": {"x": [1]}})


def raw(route: Route) -> Iterator[tuple[str, bytes, set[int]]]:
    """Bodies that are wrong for the route whatever it takes."""
    return (one for one in RAW if not right(route, (), one[0]))


def right(route: Route, where: tuple[Any, ...], name: str) -> bool:
    """Whether it only looks wrong."""
    facts = (route.key, ".".join(map(str, where)), name)
    return any(all(map(re.fullmatch, forms, facts)) for forms in RIGHT)


def wrong_values(value: Any) -> Iterator[tuple[str, Any]]:
    """What can in no field stand instead of this value."""
    yield "NUL", "a\x00b"
    yield "half a surrogate pair", "\ud800"
    yield "2**70", 2**70
    yield "1e400", HUGE
    yield "lists in lists", [[[]]]
    if not isinstance(value, dict):
        yield "an object", {"x": {"y": [1]}}
    if not isinstance(value, str):
        yield "a text", "no such thing"
    if isinstance(value, str):
        yield "300,000 characters", "x" * 300_000
        yield "2**63", 2**63
    if isinstance(value, int) and not isinstance(value, bool):
        yield "2**63", 2**63
        yield "-2**31-1", -(2**31) - 1
        yield "half", 0.5
    if isinstance(value, bool):
        yield "seven", 7
    if isinstance(value, dict | list):
        yield "a number", 3


def unfit(body: Any) -> Iterator[tuple[tuple[Any, ...], str, bytes]]:
    """The good body with values that a column may not take, one at a time."""
    for where, value in spots(body):
        for name, bad in UNFIT.items() if not isinstance(value, dict | list) else ():
            yield where, name, encoded(put(body, where, bad))


def microversions(service: str) -> list[tuple[str, int]]:
    """Versions that are not there, and what they are answered."""
    malformed = [
        "2",
        "2.",
        ".1",
        "2.1.1",
        "-2.1",
        "2.-1",
        "a.b",
        "2.01",
        "+2.1",
        "2.1e1",
        "\u0662.\u0661",
        "x" * 5000,
        "2.99999",
    ]
    return (
        [(text, 400) for text in malformed]
        + [(text, 406) for text in ("2.9999", "9.9")]
        + ([("1.39", 406)] if service == "compute" else [])
    )


def weaker(who: str) -> tuple[str, ...]:
    """Who must be refused what `who` may."""
    table: Mapping[str, tuple[str, ...]] = {
        "reader": ("other",),
        "member": ("reader", "other", "node"),
        "other": ("reader", "member", "node"),
        "node": ("reader", "other", "member", "admin"),
        "admin": ("reader", "other", "member", "node"),
    }
    return table.get(who, ())


def entries(got: Answer) -> int:
    """How many things a list holds; -1 when it is none."""
    if got.status != 200 or not got.body.startswith(b"{"):
        return -1
    lists = [value for value in got.json.values() if isinstance(value, list)]
    return len(lists[0]) if len(lists) == 1 else -1


def changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    """The tables that are not as they were."""
    found = []
    for name, was in before.items():
        if after[name] != was:
            new = (
                f"{was} -> {after[name]} rows"
                if isinstance(was, int)
                else f"+{sorted(set(after[name]) - set(was))} -{sorted(set(was) - set(after[name]))}"[:300]
            )
            found.append(f"table {name} changed: {new}")
    return found


def shaped(service: str, got: Answer) -> bool:
    """Whether an error has the form that its API gives to errors."""
    if service == "image" and got.headers["content-type"].startswith("text/html"):
        return f"<title>{got.status} ".encode() in got.body
    try:
        body = got.json
    except ValueError:
        return False
    match "identity" if got.status == 401 else service:
        case "compute":
            [(_, fault)] = body.items()
            return fault["code"] == got.status and isinstance(fault["message"], str)
        case "identity":
            if isinstance(body["error"], str):  # OAuth 2.0 has a shape of its own
                return set(body) == {"error", "error_description"} and bool(body["error_description"])
            return body["error"]["code"] == got.status and bool(body["error"]["title"] and body["error"]["message"])
        case "network":
            [(_, fault)] = body.items()
            return set(fault) == {"type", "message", "detail"}
        case "image":
            return body["code"].startswith(f"{got.status} ")
        case "placement":
            [fault] = body["errors"]
            return fault["status"] == got.status and fault["request_id"].startswith("req-")
    raise AssertionError(f"how does {service} say errors?")
