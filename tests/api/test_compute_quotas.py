"""Quotas and limits through the API: a user's own, the project's, the class's, the settings'."""

from maldon.compute.verbs.quota_set import quota_limits
from tests.api.compute import SSH_KEY, conforms, nova, ok, statuses
from tests.harness import ADMIN_PROJECT, DEMO, OTHER

__all__ = ["nova"]
URL = f"/os-quota-sets/{DEMO}"
VERSIONS = (("2.1", "v2_1"), ("2.36", "v2_36"), ("2.57", "v2_57"), ("2.96", "v2_57"))


async def in_force(nova, user_id=""):
    async with nova.db.read() as session:
        return await quota_limits(session, nova.op(), DEMO, user_id)


async def test_quota_sets_as_each_version_shows_them(nova):
    for version, module in VERSIONS:
        shown = await ok(nova.as_("demo"), "GET", URL, None, version)
        conforms(shown, f"{module}.quotas", "get_quota_set")
        assert await ok(nova.as_("other"), "GET", URL + "/defaults", None, version) == shown
        changed = await ok(nova, "PUT", URL, {"quota_set": {"force": True, "cores": 20}}, version)
        conforms(changed, f"{module}.quotas", "update_quota_set")
        detail = await ok(nova.as_("demo"), "GET", URL + "/detail", None, version)
        conforms(detail, f"{module}.quotas", "get_quota_set_details")


async def test_quota_classes_as_each_version_shows_them(nova):
    for version, module in (("2.1", "v2_1"), ("2.50", "v2_50"), ("2.57", "v2_57")):
        shown = await ok(nova, "GET", "/os-quota-class-sets/default", None, version)
        conforms(shown, f"{module}.quota_classes", "get_quota_class_set")
        changed = await ok(nova, "PUT", "/os-quota-class-sets/default", {"quota_class_set": {"cores": 20}}, version)
        conforms(changed, f"{module}.quota_classes", "update_quota_class_set")


async def test_the_nearest_limit_counts(nova):
    assert (await in_force(nova))["cores"] == 20
    await ok(nova, "PUT", "/os-quota-class-sets/default", {"quota_class_set": {"cores": 30, "ram": "1"}})
    assert ((await in_force(nova))["cores"], (await in_force(nova))["ram"]) == (30, 1)
    await ok(nova, "PUT", URL, {"quota_set": {"cores": 40}})
    await ok(nova, "PUT", URL + "?user_id=u-demo", {"quota_set": {"cores": -1}})
    assert ((await in_force(nova))["cores"], (await in_force(nova, "u-demo"))["cores"]) == (40, -1)
    assert (await ok(nova, "GET", URL + "?user_id=u-demo"))["quota_set"]["cores"] == -1
    await ok(nova, "DELETE", URL, status=202)
    assert ((await in_force(nova))["cores"], (await in_force(nova, "u-demo"))["cores"]) == (30, 30)


async def test_a_limit_below_what_is_used_must_be_forced(nova):
    await ok(nova.as_("demo"), "POST", "/os-keypairs", {"keypair": {"name": "a", "public_key": SSH_KEY}})
    user = URL + "?user_id=u-demo"
    detail = (await ok(nova, "GET", URL + "/detail?user_id=u-demo"))["quota_set"]
    assert detail["key_pairs"] == {"limit": 100, "in_use": 1, "reserved": 0}
    await ok(nova, "PUT", user, {"quota_set": {"key_pairs": 0}}, status=400)
    assert (await ok(nova, "PUT", user, {"quota_set": {"key_pairs": 0, "force": True}}))["quota_set"]["key_pairs"] == 0


async def test_limits_as_each_version_shows_them(nova):
    for version, module in (*VERSIONS, ("2.39", "v2_39")):
        shown = await ok(nova.as_("reader"), "GET", "/limits", None, version)
        conforms(shown, f"{module}.limits", "get_limit")
    await ok(nova, "PUT", URL, {"quota_set": {"instances": 3}})
    seen = (await ok(nova, "GET", f"/limits?tenant_id={DEMO}", None, "2.96"))["limits"]["absolute"]
    assert (seen["maxTotalInstances"], seen["totalInstancesUsed"]) == (3, 0)
    assert (await ok(nova, "GET", "/limits"))["limits"]["absolute"]["maxTotalInstances"] == 10


def quota(**values):
    return {"quota_set": values}


BAD = [
    ("", "2.1", "GET", URL, None, 401),
    ("other", "2.1", "GET", URL, None, 403),
    ("other", "2.1", "GET", URL + "/detail", None, 403),
    ("demo", "2.1", "PUT", URL, quota(cores=1), 403),
    ("demo", "2.1", "DELETE", URL, None, 403),
    ("admin", "2.1", "PUT", URL, {}, 400),
    ("admin", "2.1", "PUT", URL, quota(colour=1), 400),
    ("admin", "2.1", "PUT", URL, quota(cores=-2), 400),
    ("admin", "2.1", "PUT", URL, quota(cores=2**31), 400),
    ("admin", "2.1", "PUT", URL, quota(cores="many"), 400),
    ("admin", "2.1", "PUT", URL, quota(cores=True), 400),
    ("admin", "2.1", "PUT", URL, quota(cores=1.5), 400),
    ("admin", "2.1", "PUT", URL, quota(cores=None), 400),
    ("admin", "2.1", "PUT", URL, quota(cores=1, force="perhaps"), 400),
    ("admin", "2.36", "PUT", URL, quota(fixed_ips=1), 400),
    ("admin", "2.57", "PUT", URL, quota(injected_files=1), 400),
    ("admin", "2.1", "PUT", URL, quota(fixed_ips=1), 200),
    ("admin", "2.1", "GET", "/os-quota-sets/" + "x" * 65, None, 400),
    ("admin", "2.1", "GET", URL + "?user_id=" + "x" * 65, None, 400),
    ("admin", "2.75", "GET", URL + "?colour=red", None, 400),
    ("demo", "2.1", "GET", "/os-quota-class-sets/default", None, 403),
    ("demo", "2.1", "PUT", "/os-quota-class-sets/default", {"quota_class_set": {"cores": 1}}, 403),
    ("admin", "2.1", "PUT", "/os-quota-class-sets/default", {"quota_class_set": {"server_groups": 1}}, 400),
    ("admin", "2.1", "PUT", "/os-quota-class-sets/default", {"quota_class_set": {"fixed_ips": 1}}, 200),
    ("admin", "2.50", "PUT", "/os-quota-class-sets/default", {"quota_class_set": {"server_groups": 1}}, 200),
    ("admin", "2.1", "PUT", "/os-quota-class-sets/default", {"quota_set": {"cores": 1}}, 400),
    ("demo", "2.1", "GET", f"/limits?tenant_id={OTHER}", None, 403),
    ("demo", "2.1", "GET", f"/limits?tenant_id={DEMO}", None, 200),
    ("admin", "2.1", "GET", f"/limits?tenant_id={ADMIN_PROJECT}x", None, 200),
    ("admin", "2.75", "GET", "/limits?colour=red", None, 400),
    ("demo", "2.1", "POST", "/limits", {}, 405),
]


async def test_bad_input_is_refused(nova):
    assert await statuses(nova, BAD) == BAD
