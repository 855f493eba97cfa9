"""Three nodes push what is in a container to another cloud: each its share, and what one of them could not do."""

import pytest

from maldon.objectstore.sync.settings import ContainerSyncSettings
from tests.object_cloud import ACCOUNT, object_store, served, syncer
from tests.object_cluster import object_cluster

NAMES = [f"o{n:02d}" for n in range(20)]
HOSTS = ContainerSyncSettings(allowed_sync_hosts=("127.0.0.1",))


@pytest.fixture
async def target(tmp_path):
    """The other cloud, and the URL of its container."""
    async with object_store(tmp_path / "there", known_s=0.0) as store, served(store.proxy) as url:
        assert (await store("PUT", "c", X_Container_Sync_Key="ours")).status == 201
        yield store, f"{url}/v1/{ACCOUNT}/c"


async def names(store):
    return (await store("GET", "c")).body.decode().split()


async def test_each_node_pushes_its_share_and_later_that_of_one_that_did_not(tmp_path, target):
    there, url = target
    async with object_cluster(tmp_path / "here", options=(HOSTS,)) as nodes:
        one, *_ = askers = [node.asker() for node in nodes]
        assert (await one("PUT", "c", X_Container_Sync_To=url, X_Container_Sync_Key="ours")).status == 201
        for name in NAMES:
            assert (await one("PUT", f"c/{name}", name.encode())).status == 201
        loops = [syncer(each) for each in askers]
        shares = [await loop.once() for loop in loops[:2]]
        assert all(shares)
        assert len(await names(there)) == sum(shares) < len(NAMES)
        await nodes[2].stop()  # and its share with it
        assert [await loop.once() for loop in loops[:2]] == [len(NAMES) - sum(shares), 0]
        assert await names(there) == NAMES
        assert [await loop.once() for loop in loops[:2]] == [0, 0]
        assert (await there("GET", "c/o07")).body == b"o07"
