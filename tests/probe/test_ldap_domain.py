"""A domain of a real cloud whose users are in a real LDAP server, by the stock `openstack` command."""

import json
import subprocess
import urllib.error
import urllib.request
from typing import Any

import pytest

from tests.clouds import CLIENTS, RunningCloud, running_cloud, wait_for
from tests.ldap_tree import Tree
from tests.servers import slapd

pytestmark = pytest.mark.clients
ADMIN = "maldon-admin"


def configure(cloud: RunningCloud, domain_id: str, config: dict) -> None:
    """PUT the domain's configuration: the one thing that the command has no word for."""
    token = cloud.openstack("token", "issue", "-f", "json", cloud=ADMIN)["id"]
    request = urllib.request.Request(
        f"http://127.0.0.1:{cloud.port}/identity/v3/domains/{domain_id}/config",
        json.dumps({"config": config}).encode(),
        {"Content-Type": "application/json", "X-Auth-Token": token},
        method="PUT",
    )
    with urllib.request.urlopen(request, timeout=30) as answer:
        assert answer.status == 201


def as_ann(cloud: RunningCloud, *words: str, password: str = "pw") -> subprocess.CompletedProcess[str]:
    """The command as Ann of the domain `company`, in the project `lab` there, with no file of clouds."""
    environ = cloud.environ() | {
        "OS_AUTH_URL": cloud.clouds[ADMIN]["auth"]["auth_url"],
        "OS_USERNAME": "Ann",
        "OS_PASSWORD": password,
        "OS_USER_DOMAIN_NAME": "company",
        "OS_PROJECT_NAME": "lab",
        "OS_PROJECT_DOMAIN_NAME": "company",
        "OS_IDENTITY_API_VERSION": "3",
    }
    command = [CLIENTS / "openstack", *words]
    return subprocess.run(command, env=environ, capture_output=True, text=True, timeout=300, check=False)


def shown_to_ann(cloud: RunningCloud, *words: str) -> Any:
    """What the command shows her."""
    done = as_ann(cloud, *words, "-f", "json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.timeout(600)
def test_a_user_of_ldap_works_with_the_stock_command():
    with slapd() as server, running_cloud(simulate=True, settings="[identity]\ndirectory_refresh_s = 1\n") as cloud:
        tree = Tree(server)
        tree.user("ann", "Ann", mail="ann@example.test")
        tree.group("staff", ["ann"])
        domain = cloud.openstack("domain", "create", "company", "-f", "json", cloud=ADMIN)
        tls = {"use_tls": True, "tls_cacertfile": server.ca_file}
        configure(cloud, domain["id"], {"identity": {"driver": "ldap"}, "ldap": tree.options(page_size=50, **tls)})
        listed = cloud.openstack("user", "list", "--domain", "company", "--long", "-f", "json", cloud=ADMIN)
        assert [(one["Name"], one["Email"]) for one in listed] == [("Ann", "ann@example.test")]
        cloud.openstack("project", "create", "lab", "--domain", "company", cloud=ADMIN)
        grant = ["role", "add", "member", "--group", "staff", "--group-domain", "company"]
        cloud.openstack(*grant, "--project", "lab", "--project-domain", "company", cloud=ADMIN)
        token = shown_to_ann(cloud, "token", "issue")
        assert token["user_id"] == listed[0]["ID"]
        assert shown_to_ann(cloud, "network", "create", "hers")["name"] == "hers"
        assert "HTTP 401" in as_ann(cloud, "token", "issue", password="wrong").stderr
        server.kill()
        assert "HTTP 503" in as_ann(cloud, "token", "issue").stderr
        assert look(cloud, token["id"]) == 200
        server.start()
        assert "hers" in [one["Name"] for one in shown_to_ann(cloud, "network", "list")]
        tree.delete(tree.user_dn("ann"))
        wait_for("the token of who is gone to end", lambda: look(cloud, token["id"]) == 401, 30)
        assert cloud.doctor() == ""


def look(cloud: RunningCloud, token: str) -> int:
    """The status that a token gets for asking what it opens."""
    url = f"http://127.0.0.1:{cloud.port}/identity/v3/auth/projects"
    try:
        with urllib.request.urlopen(urllib.request.Request(url, headers={"X-Auth-Token": token}), timeout=30) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        with error:
            return error.code
