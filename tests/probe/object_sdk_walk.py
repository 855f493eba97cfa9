"""The walk of a user through the object store with openstacksdk; run by the clients' own Python.

python object_sdk_walk.py CLOUD
"""

import sys
import tempfile
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path

import openstack

MIB = 1 << 20


def walk(cloud):
    """A container, objects small and in segments, their metadata, signed addresses, and all of it gone again."""
    store = cloud.object_store
    store.create_container(name="box")
    store.set_container_metadata("box", place="sea")
    assert store.get_container_metadata("box").metadata["place"] == "sea"
    store.upload_object(container="box", name="a/ü", data=b"first", **{"content-type": "text/x-mine"})
    small(store)
    large(cloud)
    signed(cloud)
    assert sorted(one.name for one in store.containers()) == ["box", "box_segments"]
    for container in ("box", "box_segments"):
        for one in store.objects(container):
            store.delete_object(one, container=container)
        store.delete_container(container)
    assert list(store.containers()) == []


def small(store):
    """What can be seen and said of one object."""
    held = store.get_object_metadata("a/ü", container="box")
    assert (held.content_type, int(held.content_length)) == ("text/x-mine", 5)
    store.set_object_metadata("a/ü", container="box", colour="blue")
    assert store.get_object_metadata("a/ü", container="box").metadata["colour"] == "blue"
    assert store.download_object("a/ü", container="box") == b"first"
    assert b"".join(store.stream_object("a/ü", container="box")) == b"first"
    assert [one.name for one in store.objects("box", prefix="a/")] == ["a/ü"]
    assert store.get_account_metadata().account_container_count == 1
    assert store.get_info().swift["max_meta_count"] == 90


def large(cloud):
    """A file cut by the SDK, as a static large object and as a dynamic one; one that is there is not sent again."""
    with tempfile.TemporaryDirectory() as folder:
        big = Path(folder) / "big"
        big.write_bytes(b"".join(bytes([n]) * MIB for n in range(5)))
        for static in (True, False):
            cloud.create_object(
                "box", "big", str(big), segment_size=2 * MIB, use_slo=static, segment_container="box_segments"
            )
            assert cloud.get_object_raw("box", "big").content == big.read_bytes()
            assert not cloud.is_object_stale("box", "big", str(big))
            assert cloud.delete_object("box", "big")
            cloud.object_store.create_container(name="box_segments")


def signed(cloud):
    """An address that opens an object for a while."""
    store = cloud.object_store
    store.set_account_temp_url_key("secret")
    root, version, account = store.get_endpoint().partition("/v1/")
    said = store.generate_temp_url(f"{version}{account}/box/a/ü", 60, "GET", temp_url_key=b"secret")
    address = urllib.parse.quote(said, safe="/?&=")
    with urllib.request.urlopen(root + address, timeout=30) as answer:
        assert answer.read() == b"first"
    assert status(f"{root}{address.replace('sig=', 'sig=0')}") == 401
    store.delete_account_metadata(["temp-url-key"])


def status(address):
    """How a GET is answered."""
    try:
        with urllib.request.urlopen(address, timeout=30) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        return error.code


if __name__ == "__main__":
    walk(openstack.connect(cloud=sys.argv[1]))
    sys.stdout.write("walked\n")
