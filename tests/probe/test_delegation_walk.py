"""What a user can hand on, with the stock command: an application credential, a trust, EC2 keys, passcodes."""

import base64
import json
import os
import subprocess
import time
from typing import Any

import pytest
from cryptography.hazmat.primitives.hashes import SHA1
from cryptography.hazmat.primitives.twofactor.totp import TOTP

from tests.clouds import CLIENTS, RunningCloud, running_cloud

pytestmark = [pytest.mark.clients, pytest.mark.timeout(400)]


def issued(cloud: RunningCloud, **auth: str) -> Any:
    """`token issue` as whoever these variables say, with no file of clouds."""
    environ = cloud.environ() | {
        "OS_AUTH_URL": cloud.clouds["maldon"]["auth"]["auth_url"],
        "OS_IDENTITY_API_VERSION": "3",
    }
    environ |= {f"OS_{name.upper()}": value for name, value in auth.items()}
    command = [CLIENTS / "openstack", "token", "issue", "-f", "json"]
    done = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=120, check=False)
    return json.loads(done.stdout) if done.returncode == 0 else done.stderr


def test_what_a_user_hands_on_with_the_stock_command():
    with running_cloud(simulate=True) as cloud:
        demo = cloud.openstack("token", "issue", "-f", "json")

        shown = cloud.openstack("application", "credential", "create", "ci", "--role", "reader", "-f", "json")
        made = {name.lower(): value for name, value in shown.items()}
        proof = {"auth_type": "v3applicationcredential", "application_credential_secret": made["secret"]}
        assert issued(cloud, **proof, application_credential_id=made["id"])["project_id"] == demo["project_id"]
        cloud.openstack("application", "credential", "delete", "ci")
        assert "401" in issued(cloud, **proof, application_credential_id=made["id"])

        admin = cloud.clouds["maldon-admin"]["auth"]
        trustor, other = (
            demo["user_id"],
            cloud.openstack("token", "issue", "-f", "json", cloud="maldon-admin")["user_id"],
        )
        role = cloud.openstack("role", "show", "member", "-f", "json", cloud="maldon-admin")["id"]
        words = ("--project", demo["project_id"], "--role", role, trustor, other)  # a member cannot look up names
        trust = cloud.openstack("trust", "create", *words, "-f", "json")
        trustee = {"username": "admin", "password": admin["password"], "user_domain_id": "default"}
        got = issued(cloud, **trustee, trust_id=trust["id"])
        assert got["project_id"] == demo["project_id"]
        cloud.openstack("trust", "delete", trust["id"])
        assert "40" in issued(cloud, **trustee, trust_id=trust["id"])

        keys = cloud.openstack("ec2", "credentials", "create", "-f", "json")
        assert [one["Access"] for one in cloud.openstack("ec2", "credentials", "list", "-f", "json")] == [
            keys["access"]
        ]
        cloud.openstack("ec2", "credentials", "delete", keys["access"])
        assert cloud.openstack("ec2", "credentials", "list", "-f", "json") == []

        secret = os.urandom(20)
        text = base64.b32encode(secret).decode()
        cloud.openstack("credential", "create", "--type", "totp", trustor, text, cloud="maldon-admin")
        person = {
            "auth_type": "v3totp",
            "username": "demo",
            "user_domain_id": "default",
            "project_id": demo["project_id"],
        }
        code = TOTP(secret, 6, SHA1(), 30).generate(int(time.time())).decode()
        assert issued(cloud, **person, passcode=code)["user_id"] == demo["user_id"]
        wrong = str((int(code) + 1) % 1_000_000).zfill(6)
        assert "401" in issued(cloud, **person, passcode=wrong)
