"""The command `maldon`, as a new user types it; simulated, so without root."""

import json
import os
import socket
import stat
import subprocess
import urllib.request

import pytest

from tests.clouds import MALDON, RunningCloud, running_cloud
from tests.servers import free_port


@pytest.fixture(scope="module")
def cloud():
    with running_cloud(simulate=True) as running:
        yield running


def refused(*words, **environ):
    done = subprocess.run(
        [*MALDON, *words], capture_output=True, text=True, check=False, timeout=60, env={**os.environ, **environ}
    )
    assert done.returncode == 1
    [sentence] = done.stderr.strip().splitlines()
    return sentence


def test_it_says_that_it_runs(cloud):
    [line] = cloud.maldon("status", "--json").stdout.splitlines()
    row = json.loads(line)
    assert (row["service"], row["pid"], row["port"]) == ("maldon", cloud.pid, cloud.port)
    assert set(row["roles"].values()) == {"running"}
    assert {"identity-api", "image-api", "network-api", "compute-api", "worker", "node-agent"} <= set(row["roles"])
    assert {name: disk["state"] for name, disk in row["disks"].items()} == {"disk-1": "ok"}
    said = cloud.maldon("status").stdout
    assert "running" in said
    assert "disk-1           ok, " in said


def test_its_secrets_are_the_owners_alone(cloud):
    for name in ("clouds.yaml", "secrets.json"):
        assert stat.S_IMODE((cloud.home / name).stat().st_mode) == 0o600
    keys = cloud.home / "fernet-keys"
    assert {stat.S_IMODE(path.stat().st_mode) for path in keys.iterdir() if path.is_file()} == {0o600}
    passwords = {c["auth"]["password"] for c in cloud.clouds.values()}
    assert len(passwords) == 2
    log = (cloud.home / "maldon.log").read_text()
    assert not any(password in log for password in passwords)


@pytest.mark.parametrize(
    "path", ["healthz", "readyz", "metrics", "identity/v3", "image/versions", "network/", "compute/"]
)
def test_every_api_answers_without_a_token(cloud, path):
    with urllib.request.urlopen(f"http://127.0.0.1:{cloud.port}/{path}", timeout=5) as answer:
        assert answer.status in {200, 300}


def test_a_second_start_on_the_same_home_names_the_first(cloud):
    sentence = refused("up", "--simulate", "--home", str(cloud.home), "--port", "1")
    assert str(cloud.pid) in sentence
    assert "maldon down" in sentence


def test_a_taken_port_is_named(tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        for detach in ([], ["--detach"]):
            sentence = refused("up", "--simulate", "--home", str(tmp_path / "h"), "--port", str(port), *detach)
            assert f"Port {port}" in sentence
            assert str(os.getpid()) in sentence


def test_a_wrong_setting_is_named(tmp_path):
    (tmp_path / "maldon.toml").write_text("[cloud]\nprot = 1\n")
    assert "'prot'" in refused("up", "--simulate", "--home", str(tmp_path))
    assert "wants int" in refused("up", "--simulate", "--home", str(tmp_path / "b"), MALDON_CLOUD_PORT="many")
    (tmp_path / "c").mkdir()
    (tmp_path / "c" / "policy.yaml").write_text('"no:such:rule": "@"\n')
    assert "no:such:rule" in refused("up", "--simulate", "--home", str(tmp_path / "c"))


def test_nothing_running_is_said(tmp_path):
    assert "No cloud runs" in refused("status", "--home", str(tmp_path))
    assert "no cloud" in refused("doctor", "--home", str(tmp_path))


def test_two_clouds_run_side_by_side(cloud):
    with running_cloud(simulate=True) as other:
        assert cloud.openstack is not None
        assert other.pid != cloud.pid
        for one in (cloud, other):
            with urllib.request.urlopen(f"http://127.0.0.1:{one.port}/readyz", timeout=5) as answer:
                assert answer.status == 200
        home = other.home
    assert not home.exists()


def test_a_restart_finds_all_as_it_was():
    with running_cloud(simulate=True) as running:
        before = running.clouds
        running.stop()
        assert "nothing ran" in running.maldon("down").stdout
        again = RunningCloud(running.home, running.port, simulate=True)
        again.start()
        assert again.clouds == before
        assert again.doctor() == ""


def test_without_privileges_only_a_simulation_starts(tmp_path):
    powerless = ["setpriv", "--bounding-set=-all", "--inh-caps=-all"] if os.geteuid() == 0 else []

    def maldon(*words):
        command = [*powerless, *MALDON, *words]
        return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)

    home = str(tmp_path / "home")
    for words in (["up", "--detach", "--simulate", "--port", str(free_port())], ["doctor"], ["down"]):
        done = maldon(*words, "--home", home)
        assert done.returncode == 0, done.stderr
    done = maldon("up", "--home", str(tmp_path / "real"))
    assert done.returncode == 1
    [sentence] = done.stderr.strip().splitlines()
    assert "--simulate" in sentence


def test_credential_keys_rotate_while_the_cloud_runs(cloud):
    made = cloud.openstack("ec2", "credentials", "create", "-f", "json")
    assert "1 secrets sealed anew" in cloud.maldon("identity", "rotate-credential-keys").stdout
    shown = cloud.openstack("ec2", "credentials", "show", made["access"], "-f", "json")
    assert shown["secret"] == made["secret"]


def test_credential_keys_rotate_in_a_cloud_only(tmp_path):
    assert (
        refused("identity", "rotate-credential-keys", "--home", str(tmp_path))
        == f"maldon: There is no cloud in {tmp_path}."
    )


def test_people_of_another_cloud_log_in_with_the_passwords_they_had(cloud, tmp_path):
    stored = "$2b$04$o.cQUuZRMpzx4uoVoWEvBuj6lim4eA.94BpL750IFudygbXp7QPTS"
    domain = {"kind": "domain", "id": "d1", "name": "theirs"}
    user = {"kind": "user", "id": "u1", "name": "ann", "domain_id": "d1", "password_hash": stored}
    file = tmp_path / "people.jsonl"
    file.write_text("\n".join(json.dumps(line) for line in (domain, user)))
    told = "domain: 1 added, 0 here already\nuser: 1 added, 0 here already\n"
    assert cloud.maldon("identity", "import", str(file)).stdout == told
    again = "domain: 0 added, 1 here already\nuser: 0 added, 1 here already\n"
    assert cloud.maldon("identity", "import", str(file)).stdout == again
    who = {"name": "ann", "domain": {"name": "theirs"}, "password": "pässwörd of theirs"}
    body = {"auth": {"identity": {"methods": ["password"], "password": {"user": who}}}}
    asked = urllib.request.Request(
        f"http://127.0.0.1:{cloud.port}/identity/v3/auth/tokens",
        json.dumps(body).encode(),
        {"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(asked, timeout=30) as answer:
        assert json.load(answer)["token"]["user"]["id"] == "u1"
    file.write_text(json.dumps(user | {"id": "u2", "domain_id": "none"}))
    done = cloud.maldon("identity", "import", str(file), check=False)
    why = "line 1: user u2: the domain none is neither here nor in the file."
    last = "maldon: Nothing was imported. Bad lines: 1."
    assert (done.returncode, done.stdout, done.stderr.splitlines()) == (1, "", [why, last])


def test_the_books_of_identity_fit_together(cloud):
    for words in ((), ("--repair",)):
        assert cloud.maldon("identity", "doctor", *words).stdout == "the books of identity fit together\n"
