"""Users' walks through the object store of a simulated cloud with the clients they have: the swift command, rclone,
the stock openstack command and openstacksdk.
"""

import json
import re
import subprocess
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from tests.clouds import CLIENTS, running_cloud, wait_for

SDK_WALK = Path(__file__).with_name("object_sdk_walk.py")
GIB, MIB = 1 << 30, 1 << 20
pytestmark = [
    pytest.mark.clients,
    pytest.mark.timeout(580),
    pytest.mark.xdist_group("object walk"),
]


@pytest.fixture(scope="module")
def cloud():
    with running_cloud(simulate=True) as made:
        yield made


class Command:
    """A client's command in a directory of its own: what it prints, once it succeeded."""

    def __init__(self, folder, environ, *program):
        self.folder, self.environ, self.program = folder, environ, program

    def ask(self, *words, text=True):
        command = [*self.program, *map(str, words)]
        return subprocess.run(
            command, cwd=self.folder, env=self.environ, capture_output=True, text=text, timeout=500, check=False
        )

    def __call__(self, *words):
        done = self.ask(*words)
        assert done.returncode == 0, f"{words}: {done.stdout}{done.stderr}"
        return done.stdout

    def lines(self, *words):
        return sorted(self(*words).split("\n")[:-1])

    def refused(self, *words):
        """What it says of what it could not do."""
        done = self.ask(*words)
        assert done.returncode != 0, f"{words}: {done.stdout}"
        return done.stdout + done.stderr


def of_a_user(cloud):
    """The environment of one who comes by name and password to identity v3."""
    auth = cloud.clouds["maldon"]["auth"]
    return cloud.environ() | {
        "OS_AUTH_URL": auth["auth_url"], "OS_IDENTITY_API_VERSION": "3", "OS_REGION_NAME": "RegionOne",
        "OS_USERNAME": auth["username"], "OS_USER_DOMAIN_NAME": "Default", "OS_PASSWORD": auth["password"],
        "OS_PROJECT_NAME": auth["project_name"], "OS_PROJECT_DOMAIN_NAME": "Default",
    }  # fmt: skip


@pytest.fixture
def swift(cloud, tmp_path):
    command = Command(tmp_path, of_a_user(cloud), CLIENTS / "swift")
    yield command
    containers = command.lines("list")
    if containers:
        command("delete", "--all")
    assert command.lines("list") == []


def facts(text):
    """What `swift stat` says, by name."""
    return dict(line.strip().split(": ", 1) for line in text.splitlines() if ": " in line)


def test_the_first_minutes_with_swift(swift):
    assert facts(swift("stat"))["Containers"] == "0"
    swift("post", "photos", "-m", "place:sea", "-r", ".r:*")
    (swift.folder / "a.txt").write_text("first\n")
    (swift.folder / "tree").mkdir()
    (swift.folder / "tree" / "ü b.txt").write_text("second\n")
    assert swift.lines("upload", "photos", "a.txt", "tree") == ["a.txt", "tree/ü b.txt"]
    assert swift.lines("list", "photos") == ["a.txt", "tree/ü b.txt"]
    assert swift.lines("list", "photos", "--prefix", "t", "--delimiter", "/") == ["tree/"]
    assert re.search(r"^ +6 \S+ \S+ +text/plain a.txt$", swift("list", "photos", "--long"), re.MULTILINE)
    told = facts(swift("stat", "photos"))
    said = {name: told[name] for name in ("Objects", "Bytes", "Read ACL", "Meta Place")}
    assert said == {"Objects": "2", "Bytes": "13", "Read ACL": ".r:*", "Meta Place": "sea"}
    unchanged = facts(swift("stat", "photos", "a.txt"))["X-Timestamp"]
    swift("upload", "photos", "a.txt", "--skip-identical")
    assert facts(swift("stat", "photos", "a.txt"))["X-Timestamp"] == unchanged

    swift("post", "photos", "a.txt", "-m", "colour:blue", "-H", "X-Delete-After: 3600")
    told = facts(swift("stat", "photos", "a.txt"))
    said = {name: told[name] for name in ("Content Length", "ETag", "Meta Colour", "Content Type")}
    etag = "eb260e9ae827821beceeed4104f0ad89"
    assert said == {"Content Length": "6", "ETag": etag, "Meta Colour": "blue", "Content Type": "text/plain"}
    assert "X-Delete-At" in told

    swift("copy", "photos", "a.txt", "-d", "/copies/b.txt", "-m", "copied:yes")
    assert facts(swift("stat", "copies", "b.txt"))["Meta Copied"] == "yes"
    assert swift("download", "copies", "b.txt", "-o", "-") == "first\n"
    swift("download", "photos", "-D", "got")
    got = {str(file.relative_to(swift.folder / "got")): file.read_text() for file in swift.folder.glob("got/**/*.txt")}
    assert got == {"a.txt": "first\n", "tree/ü b.txt": "second\n"}

    assert swift.lines("delete", "photos", "a.txt") == ["a.txt"]
    assert swift.lines("delete", "photos", "--prefix", "tree/") == ["tree/ü b.txt"]
    assert "404 Not Found" in swift.refused("stat", "photos", "a.txt")
    assert "Container 'none' not found" in swift.refused("list", "none")
    swift("delete", "photos")
    assert swift.lines("list") == ["copies"]
    assert json.loads(swift("info", "--json"))["swift"]["max_file_size"] == 5 * GIB + 2


def test_a_signed_address_of_swift(swift):
    (swift.folder / "o").write_text("hidden")
    swift("upload", "c", "o")
    swift("post", "-m", "Temp-URL-Key:secret")
    account = facts(swift("stat"))["Account"]
    root = facts(swift("auth").replace("export ", "").replace("=", ": ", 1))["OS_STORAGE_URL"]
    assert root.endswith(account)
    signed = swift("tempurl", "GET", "60", f"/v1/{account}/c/o", "secret").strip()
    where = f"{root.removesuffix(f'/v1/{account}')}{signed}"
    with urllib.request.urlopen(where, timeout=30) as answer:
        assert answer.read() == b"hidden"
    with pytest.raises(urllib.error.HTTPError, match="401"):
        urllib.request.urlopen(where.replace("sig=", "sig=0"), timeout=30)
    swift("post", "-m", "Temp-URL-Key:")


def sparse(file, size):
    """A file that takes no room, and no two stretches of which are the same."""
    with file.open("wb") as out:
        for at in range(0, size, 64 * MIB):
            out.seek(at)
            out.write(b"stretch at %d" % at)
        out.truncate(size)


def differs(command, words, file):
    """Whether what a download prints is anything else than a file; compared as it comes, kept nowhere."""
    process = subprocess.Popen(
        [*command.program, *words], cwd=command.folder, env=command.environ, stdout=subprocess.PIPE
    )
    try:
        with file.open("rb") as source:
            while wanted := source.read(MIB):
                if process.stdout.read(len(wanted)) != wanted:
                    return True
        return bool(process.stdout.read(1)) or process.wait(60) != 0
    finally:
        process.kill()
        process.stdout.close()
        process.wait()


def test_five_gigabytes_in_segments(swift, cloud):
    """Static, as swift does it of itself: up, down, its metadata changed, and gone with the segments."""
    big = swift.folder / "big"
    sparse(big, 5 * GIB)
    swift("upload", "c", "big", "--segment-size", GIB, "--segment-container", "parts")
    assert len(swift.lines("list", "parts")) == 5
    told = facts(swift("stat", "c", "big"))
    assert (told["Content Length"], told["X-Static-Large-Object"]) == (str(5 * GIB), "True")
    swift("post", "c", "big", "-m", "colour:blue")
    assert facts(swift("stat", "c", "big"))["Meta Colour"] == "blue"
    assert not differs(swift, ("download", "c", "big", "-o", "-"), big)
    assert facts(swift("stat", "c"))["Bytes"] == str(5 * GIB)
    swift("delete", "c", "big")
    assert swift.lines("list", "c") == swift.lines("list", "parts") == []
    disk = cloud.home / "objects"
    assert sum(file.stat().st_blocks * 512 for file in disk.rglob("*") if file.is_file()) < 100 * MIB


def test_segments_by_their_names(swift):
    """Dynamic: the manifest says where they are."""
    big = swift.folder / "big"
    sparse(big, 64 * MIB + 1)
    swift("upload", "c", "big", "--use-dlo", "--segment-size", 10 * MIB, "--segment-threads", "4")
    assert len(swift.lines("list", "c_segments")) == 7
    told = facts(swift("stat", "c", "big"))
    assert told["Content Length"] == str(64 * MIB + 1)
    assert told["Manifest"].startswith("c_segments/big/")
    assert not differs(swift, ("download", "c", "big", "-o", "-"), big)
    swift("delete", "c", "big")
    assert swift.lines("list", "c_segments") == []


@pytest.fixture
def rclone(cloud, tmp_path):
    (tmp_path / "rclone.conf").touch()
    environ = {
        **of_a_user(cloud), "RCLONE_CONFIG": str(tmp_path / "rclone.conf"),
        "RCLONE_CONFIG_STORE_TYPE": "swift", "RCLONE_CONFIG_STORE_ENV_AUTH": "true",
    }  # fmt: skip
    command = Command(tmp_path, environ, "rclone")
    yield command
    for line in command.lines("lsf", "store:"):
        command("purge", f"store:{line}")
    assert command.lines("lsf", "store:") == []


def test_rclone_keeps_a_tree(rclone):
    tree = rclone.folder / "tree"
    for name, content in {"a.txt": b"a", "sub/ü b": b"b" * 1000, "sub/deep/c#?%": b"", "sub/d": b"d"}.items():
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        (tree / name).write_bytes(content)
    rclone("copy", "tree", "store:box/inner")
    counted = re.compile(r"^ +1002 .* 4 box$", re.MULTILINE)
    wait_for("the account counts its container", lambda: counted.search(rclone("lsd", "store:")), 20)
    rclone("check", "tree", "store:box/inner")
    rclone("check", "--download", "tree", "store:box/inner")
    assert rclone.lines("lsf", "store:box/inner") == ["a.txt", "sub/"]
    assert rclone("cat", "store:box/inner/sub/ü b", "--offset", "10", "--count", "5") == "bbbbb"

    (tree / "a.txt").write_bytes(b"changed")
    (tree / "sub" / "d").unlink()
    assert "2 differences found" in rclone.refused("check", "tree", "store:box/inner")
    rclone("sync", "tree", "store:box/inner")
    rclone("check", "--download", "tree", "store:box/inner")
    assert rclone.lines("lsf", "-R", "--files-only", "store:box") == [
        "inner/a.txt",
        "inner/sub/deep/c#?%",
        "inner/sub/ü b",
    ]
    rclone("moveto", "store:box/inner/a.txt", "store:box/a b.txt")
    assert rclone.lines("lsf", "store:box") == ["a b.txt", "inner/"]
    rclone("sync", "store:box", "back")
    assert (rclone.folder / "back" / "a b.txt").read_bytes() == b"changed"
    rclone("deletefile", "store:box/a b.txt")
    rclone("delete", "store:box/inner")
    assert rclone.lines("lsf", "-R", "--files-only", "store:box") == []


def test_rclone_cuts_a_large_file(rclone):
    big = rclone.folder / "big"
    sparse(big, 40 * MIB + 3)
    rclone("copy", "big", "store:box", "--swift-chunk-size", "8M")
    assert len(rclone.lines("lsf", "-R", "--files-only", "store:box_segments")) == 6
    rclone("check", "--download", rclone.folder, "store:box", "--include", "/big")
    assert not differs(rclone, ("cat", "store:box/big"), big)
    part = rclone.ask("cat", "store:box/big", "--offset", 8 * MIB - 5, "--count", "10", text=False)
    assert part.stdout == bytes(10)
    rclone("delete", "store:box")
    assert rclone.lines("lsf", "-R", "--files-only", "store:box_segments") == []


def test_the_stock_command_and_the_sdk(cloud, tmp_path):
    made = cloud.openstack("container", "create", "--public", "photos", "-f", "json")
    assert made[0]["container"] == "photos"
    (tmp_path / "a.txt").write_text("first\n")
    put = cloud.openstack("object", "create", "photos", str(tmp_path / "a.txt"), "--name", "a.txt", "-f", "json")
    assert put == [{"object": "a.txt", "container": "photos", "etag": "eb260e9ae827821beceeed4104f0ad89"}]
    cloud.openstack("container", "set", "--property", "place=sea", "photos")
    cloud.openstack("object", "set", "--property", "colour=blue", "photos", "a.txt")
    shown = cloud.openstack("container", "show", "photos", "-f", "json")
    assert {n: shown[n] for n in ("object_count", "bytes_used", "properties", "read_acl")} == {
        "object_count": "1", "bytes_used": "6", "properties": {"Place": "sea"}, "read_acl": ".r:*,.rlistings",
    }  # fmt: skip
    shown = cloud.openstack("object", "show", "photos", "a.txt", "-f", "json")
    assert {n: shown[n] for n in ("content-length", "properties")} == {
        "content-length": "6",
        "properties": {"Colour": "blue"},
    }
    assert cloud.openstack("object", "list", "photos", "-f", "json") == [{"Name": "a.txt"}]
    assert cloud.openstack("object", "save", "photos", "a.txt", "--file", "-") == "first"
    cloud.openstack("object", "unset", "--property", "colour", "photos", "a.txt")
    cloud.openstack("container", "unset", "--property", "place", "photos")
    assert "properties" not in cloud.openstack("object", "show", "photos", "a.txt", "-f", "json")
    cloud.openstack("object", "store", "account", "set", "--property", "motto=keep")
    assert cloud.openstack("object", "store", "account", "show", "-f", "json")["properties"] == {"Motto": "keep"}
    cloud.openstack("object", "store", "account", "unset", "--property", "motto")
    cloud.openstack("object", "delete", "photos", "a.txt")
    cloud.openstack("container", "delete", "photos")
    assert cloud.openstack("container", "list", "-f", "json") == []

    environ = {**cloud.environ(), "OS_CLIENT_CONFIG_FILE": str(cloud.home / "clouds.yaml")}
    done = Command(tmp_path, environ, CLIENTS / "python", SDK_WALK)("maldon")
    assert done.strip() == "walked"
