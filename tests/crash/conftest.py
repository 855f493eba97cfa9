"""Crash tests run on the embedded database and on the servers."""

import pytest


@pytest.fixture(params=["sqlite", "postgresql", "mariadb"])
def database_url(request, tmp_path) -> str:
    """The URL of an empty database."""
    if request.param == "sqlite":
        return str(tmp_path / "cloud.db")
    return request.getfixturevalue(f"{request.param}_url")
