"""The guest image, booted: what a user of the cloud may count on inside a server made from `maldon-guest`.

QEMU's own network plays the cloud: DHCP, and a metadata service made of files in a directory. No root is needed.
"""

import contextlib
import hashlib
import json
import re
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import pycdlib
import pytest

pytestmark = [pytest.mark.guest, pytest.mark.timeout(400)]

CHECKOUT = Path(__file__).parents[2]
PATIENCE_S = 120  # a boot takes 4 s alone, and a minute on a machine that others use as well
SERVICE = """
import pathlib, sys
path = sys.stdin.buffer.readline().split()[1].decode().strip("/")
while sys.stdin.buffer.readline().strip():
    pass
file = pathlib.Path(sys.argv[1], path)
file = file / "index" if file.is_dir() else file
body = file.read_bytes() if file.exists() else b""
status = b"200 OK" if file.exists() else b"404 Not Found"
sys.stdout.buffer.write(b"HTTP/1.0 %s\\r\\nContent-Length: %d\\r\\n\\r\\n%s" % (status, len(body), body))
"""
ONCE = "#!/bin/sh\necho once >>/root/runs\necho user-data speaks\n"


class Guest:
    """One disk made from the image, and the QEMU that runs it at the moment."""

    def __init__(self, home: Path, image: Path, key: Path) -> None:
        self.home, self.key = home, key
        self.metadata = home / "metadata"
        self.metadata.mkdir()
        (home / "service.py").write_text(SERVICE)
        self.disk = home / "disk.qcow2"
        subprocess.run(
            ["qemu-img", "create", "-q", "-f", "qcow2", "-b", image, "-F", "qcow2", self.disk, "1G"], check=True
        )

    @contextlib.contextmanager
    def running(self, *more: str) -> Iterator[None]:
        """QEMU on the disk, gone at the end whatever happens, even to this process."""
        self.log = self.home / f"console-{time.monotonic_ns()}.log"
        service = f"guestfwd=tcp:169.254.169.254:80-cmd:{sys.executable} {self.home}/service.py {self.metadata}"
        command = [
            *("setpriv", "--pdeathsig", "KILL", "nice", "qemu-system-x86_64", "-machine", "pc", "-m", "128"),
            *("-accel", "tcg,thread=multi", "-cpu", "max", "-nodefaults", "-display", "none", "-qmp", "stdio"),
            *("-chardev", f"socket,id=con,path={self.home}/con,server=on,wait=off,logfile={self.log}"),
            *("-serial", "chardev:con", "-drive", f"file={self.disk},if=none,id=root,format=qcow2"),
            *("-netdev", f"user,id=n0,net=169.254.0.0/16,hostfwd=tcp:127.0.0.1:0-:22,{service}"),
            *(
                "-device",
                "virtio-net-pci,netdev=n0,romfile=",
                *more,
                "-device",
                "virtio-blk-pci,drive=root,bootindex=0",
            ),
        ]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as self.qemu:
            try:
                self.qmp("qmp_capabilities")
                self.port = int(re.findall(r"HOST_FORWARD.*?127\.0\.0\.1\s+(\d+)", self.monitor("info usernet"))[0])
                yield
            finally:
                self.qemu.kill()

    def qmp(self, command: str, **arguments: Any) -> Any:
        assert self.qemu.stdin
        assert self.qemu.stdout
        self.qemu.stdin.write(json.dumps({"execute": command, "arguments": arguments}) + "\n")
        self.qemu.stdin.flush()
        for line in self.qemu.stdout:
            answer = json.loads(line)
            assert "error" not in answer, answer
            if "return" in answer:
                return answer["return"]
        raise AssertionError("QEMU ended")

    def monitor(self, line: str) -> str:
        text: str = self.qmp("human-monitor-command", **{"command-line": line})
        return text

    def console(self, pattern: str) -> None:
        """Waits until the console has shown `pattern`."""
        deadline = time.monotonic() + PATIENCE_S
        while not re.search(pattern, self.log.read_text(errors="replace"), re.DOTALL):
            assert self.qemu.poll() is None, "QEMU ended"
            assert time.monotonic() < deadline, f"no {pattern!r} in:\n{self.log.read_text(errors='replace')}"
            time.sleep(0.1)

    def try_ssh(self, user: str, command: str, *options: str) -> subprocess.CompletedProcess[str]:
        known = ["-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-o", "LogLevel=ERROR"]
        login = ["-F", "/dev/null", "-o", "IdentitiesOnly=yes", "-o", "BatchMode=yes", "-i", str(self.key), *options]
        return subprocess.run(
            ["ssh", *login, *known, "-p", str(self.port), f"{user}@127.0.0.1", command],
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
            check=False,
        )

    def ssh(self, user: str, command: str) -> str:
        done = self.try_ssh(user, command)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def press_power_button(self) -> None:
        self.qmp("system_powerdown")
        assert self.qemu.wait(PATIENCE_S) == 0

    def serve(self, files: dict[str, str]) -> None:
        """What the metadata service shall say: path below its root, text."""
        shutil.rmtree(self.metadata)
        for name, text in files.items():
            file = self.metadata / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)


def openstack(instance: str, key: Path) -> str:
    public = key.with_suffix(".pub").read_text()
    misleading = {"uuid": "no", "hostname": 'no "name"', "public_keys": "ssh-rsa no"}
    keys = [{"name": "k", "type": "ssh", "data": public}]
    names = {"uuid": instance, "hostname": "first.example.org", "public_keys": {"k": public}}
    return json.dumps({"meta": misleading, "keys": keys, "launch_index": 0, **names, "random_seed": "AA=="})


@pytest.fixture(scope="session")
def image() -> Path:
    subprocess.run(["make", "-C", CHECKOUT, "image"], check=True)
    return CHECKOUT / ".cache" / "maldon-guest.qcow2"


def new_key(path: Path) -> Path:
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", path], check=True)
    return path


@pytest.fixture
def guest(tmp_path: Path, image: Path) -> Guest:
    return Guest(tmp_path, image, new_key(tmp_path / "key"))


def test_the_same_packages_give_the_same_bytes_and_few_of_them(image: Path, tmp_path: Path) -> None:
    (kernel,) = image.parent.glob("linux-image-*.deb")
    (tmp_path / kernel.name).symlink_to(kernel)
    subprocess.run(["bash", CHECKOUT / "src/maldon/guest/build.sh", tmp_path], check=True)
    again = (tmp_path / image.name).read_bytes()
    assert hashlib.sha256(again).digest() == hashlib.sha256(image.read_bytes()).digest()
    assert len(again) <= 25_000_000
    assert {file.name for file in tmp_path.iterdir()} == {image.name, kernel.name, ".maldon-guest.lock"}


def test_a_guest_takes_what_the_metadata_service_says(guest: Guest) -> None:
    metadata = openstack("one", guest.key)
    guest.serve({"openstack/latest/meta_data.json": metadata, "openstack/latest/user_data": ONCE})
    with guest.running():
        guest.console(r"user-data speaks.*maldon: READY")
        assert guest.ssh("root", "id -un; hostname; cat /root/runs").split() == ["root", "first", "once"]
        assert guest.ssh("maldon", "id -un; ping -c 1 127.0.0.1 >/dev/null && echo pong").split() == ["maldon", "pong"]
        assert int(guest.ssh("maldon", "df -m / | awk 'NR == 2 { print $2 }'")) > 900
        assert guest.ssh("maldon", "curl -s http://169.254.169.254/openstack/latest/meta_data.json") == metadata
        by_password = guest.try_ssh("maldon", "id", "-o", "PubkeyAuthentication=no")
        assert "Permission denied (publickey)" in by_password.stderr
        plug_card(guest)
        guest.ssh("maldon", "echo '# mine' >>.ssh/authorized_keys")
        guest.press_power_button()
    with guest.running():
        guest.console("instance one, as before.*maldon: READY")
        assert guest.ssh("root", "cat /root/runs") == "once"
        assert guest.ssh("maldon", "tail -1 .ssh/authorized_keys") == "# mine"


def plug_card(guest: Guest) -> None:
    guest.qmp("netdev_add", type="user", id="n1", net="10.9.0.0/24")
    guest.qmp("device_add", driver="virtio-net-pci", id="card", netdev="n1")
    guest.console(r"eth1: 10\.9\.0\.15/24")
    guest.qmp("device_del", id="card")
    guest.console("eth1 is gone")


def test_a_copy_of_a_disk_becomes_a_guest_of_its_own(guest: Guest, tmp_path: Path) -> None:
    def ec2(instance: str) -> dict[str, str]:
        words = {
            "instance-id": instance,
            "local-hostname": f"{instance}.example.org",
            "public-keys/index": "0=k\n",
            "public-keys/0/openssh-key": guest.key.with_suffix(".pub").read_text(),
        }
        return {f"latest/meta-data/{name}": text for name, text in words.items()} | {"latest/user-data": ONCE}

    guest.serve(ec2("i-1"))
    with guest.running():
        guest.console("says the metadata service .EC2..*maldon: READY")
        host_key = guest.ssh("root", "md5sum /var/lib/maldon/host_key")
        guest.press_power_button()
    first_key, guest.key = guest.key, new_key(tmp_path / "second")
    guest.serve(ec2("i-2"))
    with guest.running():
        guest.console("instance i-2, new here.*maldon: READY")
        assert guest.ssh("root", "md5sum /var/lib/maldon/host_key") != host_key
        assert guest.ssh("root", "hostname; cat /root/runs").split() == ["i-2", "once", "once"]
        guest.key = first_key
        assert guest.try_ssh("root", "id").returncode == 255


@pytest.mark.parametrize("bus", ["virtio-blk-pci", "ide-cd"])
def test_a_guest_takes_what_the_config_drive_says(guest: Guest, tmp_path: Path, bus: str) -> None:
    drive = tmp_path / "drive.iso"
    write_config_drive(drive, {"meta_data.json": openstack("two", guest.key), "user_data": ONCE})
    with guest.running("-drive", f"if=none,id=cd,file={drive},format=raw,readonly=on", "-device", f"{bus},drive=cd"):
        guest.console("instance two, new here, says the config drive.*user-data speaks.*maldon: READY")
        assert guest.ssh("root", "hostname") == "first"
        log_in_on_console(guest)


def write_config_drive(path: Path, files: dict[str, str]) -> None:
    iso = pycdlib.PyCdlib()
    iso.new(interchange_level=4, vol_ident="config-2", joliet=3, rock_ridge="1.09")
    for directory in ("/openstack", "/openstack/latest"):
        iso.add_directory(directory, rr_name=directory.rsplit("/", 1)[1], joliet_path=directory)
    for name, text in files.items():
        where = f"/openstack/latest/{name}"
        iso.add_fp(BytesIO(text.encode()), len(text.encode()), where, rr_name=name, joliet_path=where)
    iso.write(path)
    iso.close()


def log_in_on_console(guest: Guest) -> None:
    with socket.socket(socket.AF_UNIX) as console:
        console.connect(str(guest.home / "con"))
        for expected, typed in (("login: ", "maldon"), ("Password: ", "maldon"), ("\\$ ", "echo I am $(id -un)")):
            guest.console(expected)
            console.sendall(typed.encode() + b"\n")
        guest.console("I am maldon")
