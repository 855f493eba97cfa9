"""The two-server walk with openstacksdk: on real guests, and without guests and without root on a simulated cloud."""

import os
import subprocess
from pathlib import Path

import pytest

from tests.clouds import CLIENTS, RunningCloud, running_cloud, wait_for
from tests.guests import guests_running, new_key, taps

WALK = Path(__file__).with_name("sdk_walk.py")
POWERLESS = ("setpriv", "--bounding-set=-all", "--inh-caps=-all")  # whoever we are, and may still read our checkout
pytestmark = pytest.mark.clients


def walk(cloud: RunningCloud, *words: str) -> None:
    environ = {**cloud.environ(), "OS_CLIENT_CONFIG_FILE": str(cloud.home / "clouds.yaml")}
    done = subprocess.run(
        [CLIENTS / "python", WALK, *words], env=environ, capture_output=True, text=True, timeout=390, check=False
    )
    assert done.stdout.strip() == "walked", done.stdout + done.stderr


@pytest.mark.root
@pytest.mark.guest
@pytest.mark.timeout(400)
@pytest.mark.xdist_group("guests")
def test_two_real_servers(tmp_path):
    with running_cloud(simulate=False) as cloud:
        walk(cloud, cloud.client_namespace, str(new_key(tmp_path)))
        wait_for("the taps to go", lambda: not taps(cloud), 20)
        assert guests_running(cloud) == []
        wait_for("the doctor to be content", lambda: cloud.doctor() == "", 20)


def test_all_but_the_guests_without_root():
    with running_cloud(simulate=True, user=POWERLESS if os.geteuid() == 0 else ()) as cloud:
        walk(cloud)
        assert cloud.doctor() == ""
