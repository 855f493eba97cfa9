"""clouds.yaml for the stock clients: `maldon` is the demo project, `maldon-admin` the operator."""

from typing import Any

import yaml


def clouds_yaml(auth_url: str, region: str, passwords: dict[str, str]) -> str:
    """The file's text."""
    clouds = {
        "maldon": _cloud(auth_url, region, "demo", "demo", passwords["demo"]),
        "maldon-admin": _cloud(auth_url, region, "admin", "admin", passwords["admin"]),
    }
    return yaml.safe_dump({"clouds": clouds}, sort_keys=False)


def _cloud(auth_url: str, region: str, project: str, user: str, password: str) -> dict[str, Any]:
    auth = {
        "auth_url": auth_url,
        "username": user,
        "password": password,
        "project_name": project,
        "user_domain_name": "Default",
        "project_domain_name": "Default",
    }
    return {"auth": auth, "region_name": region, "identity_api_version": "3"}
