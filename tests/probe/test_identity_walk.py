"""Operators' walk through people and places, with openstacksdk and the stock command, on a simulated cloud."""

import subprocess
from pathlib import Path

import pytest

from tests.clouds import CLIENTS, running_cloud

WALK = Path(__file__).with_name("identity_walk.py")
pytestmark = [pytest.mark.clients, pytest.mark.timeout(400)]


def test_people_and_places():
    with running_cloud(simulate=True) as cloud:
        environ = {**cloud.environ(), "OS_CLIENT_CONFIG_FILE": str(cloud.home / "clouds.yaml")}
        done = subprocess.run(
            [CLIENTS / "python", WALK, "maldon-admin"], env=environ, capture_output=True, text=True, check=False
        )
        assert done.stdout.strip() == "walked", done.stdout + done.stderr

        def admin(*words):
            return cloud.openstack(*words, cloud="maldon-admin")

        admin("user", "create", "eve", "--password", "pw", "--ignore-lockout-failure-attempts")
        options = admin("user", "show", "eve", "-f", "json", "-c", "options")["options"]
        assert options == {"ignore_lockout_failure_attempts": True}
        admin("role", "create", "keeper")
        admin("implied", "role", "create", "keeper", "--implied-role", "reader")
        admin("role", "add", "--user", "eve", "--project", "demo", "keeper")
        listed = admin("role", "assignment", "list", "--names", "--effective", "--user", "eve", "-f", "json")
        assert sorted(one["Role"] for one in listed) == ["keeper", "reader"]
        made = admin(
            "registered", "limit", "create", "--service", "nova", "--default-limit", "3", "shovels", "-f", "json"
        )
        admin("limit", "create", "--project", "demo", "--service", "nova", "--resource-limit", "5", "shovels")
        assert [one["Resource Limit"] for one in admin("limit", "list", "-f", "json")] == [5]
        assert made["default_limit"] == 3
