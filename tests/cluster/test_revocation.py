"""Two processes of identity over one database: what one revokes the other refuses within a second."""

import contextlib
import os
import signal
import subprocess
import time
import urllib.error
import urllib.request

import pytest
import yaml

from tests.clouds import MALDON, Api, wait_for
from tests.servers import free_port

WITHIN_S = 1.0


@pytest.fixture
def both(tmp_path, postgresql_url):
    """Two processes of one home, and the home; they share no bus: the database is enough."""
    home, ports, started = tmp_path / "home", (free_port(), free_port()), []
    try:
        for port in ports:
            environ = {**os.environ, "MALDON_CLOUD_PORT": str(port), "MALDON_CLOUD_DATABASE": postgresql_url}
            with (tmp_path / f"{port}.log").open("ab") as log:
                command = [*MALDON, "run", "--simulate", "--home", str(home), "identity-api"]
                started.append(subprocess.Popen(command, env=environ, stdout=log, stderr=log))
            wait_for("the API answers", lambda port=port: answers(f"http://127.0.0.1:{port}/readyz"))
        yield home, ports
    finally:
        for process in started:
            process.send_signal(signal.SIGTERM)
        for process in started:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(15)
            process.kill()


def answers(url):
    with contextlib.suppress(urllib.error.URLError, ConnectionError), urllib.request.urlopen(url, timeout=2) as answer:
        return answer.status == 200
    return False


def refused_after(api, path):
    """Seconds until a request that is answered is refused."""
    begun = time.monotonic()
    while api("GET", path)[0] != 401:
        assert time.monotonic() - begun < 10
        time.sleep(0.02)
    return time.monotonic() - begun


def test_what_one_process_revokes_the_other_refuses(both):
    home, (here, there) = both
    auth = yaml.safe_load((home / "clouds.yaml").read_text())["clouds"]
    admin = Api(f"http://127.0.0.1:{here}", auth["maldon-admin"]["auth"])
    path = "/identity/v3/auth/projects"
    demo = admin("GET", "/identity/v3/users?name=demo")[1]["users"][0]
    project = admin("GET", "/identity/v3/projects?name=demo")[1]["projects"][0]["id"]
    member = admin("GET", "/identity/v3/roles?name=member")[1]["roles"][0]["id"]
    role = f"/identity/v3/projects/{project}/users/{demo['id']}/roles/{member}"

    def logged_in():
        user = Api(f"http://127.0.0.1:{there}", auth["maldon"]["auth"])
        assert user("GET", path)[0] == 200  # and the other process remembers the token now
        return user

    times = {}
    user = logged_in()
    assert admin("DELETE", role)[0] == 204
    times["assignment removed"] = refused_after(user, path)
    assert admin("PUT", role)[0] == 204
    user = logged_in()
    assert admin("PATCH", f"/identity/v3/users/{demo['id']}", {"user": {"enabled": False}})[0] == 200
    times["user disabled"] = refused_after(user, path)
    assert admin("PATCH", f"/identity/v3/users/{demo['id']}", {"user": {"enabled": True}})[0] == 200
    time.sleep(1)  # a token of the second in which the user was disabled is not good
    user = logged_in()
    assert admin("PATCH", f"/identity/v3/users/{demo['id']}", {"user": {"password": "another secret"}})[0] == 200
    times["password changed"] = refused_after(user, path)
    assert max(times.values()) <= WITHIN_S, times
