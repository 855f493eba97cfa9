"""An object removed: a tombstone on all replicas, and every replica of its container told."""

from maldon.objectstore.node import Record, Spot
from maldon.objectstore.path import Path
from maldon.objectstore.proxy.lessons import Lessons
from maldon.objectstore.proxy.placing import Node, Place, Placing
from maldon.objectstore.proxy.quorum import say
from maldon.objectstore.proxy.repeated import made
from maldon.objectstore.telling import row_of


async def remove(placing: Placing, place: Place, path: Path, at: int) -> list[Record | None]:
    """What those that heard it had before, a quorum at least. Raises as `quorum.say`."""
    if len(place.primaries) == 1:
        told = placing.teachings(path, place)[0]
        return await say(placing, place, lambda node, spot, _: node.delete_object(spot, path, at, told))
    lessons = Lessons(placing, path, place)

    async def one(node: Node, spot: Spot, n: int) -> Record | None:
        removing = node.delete_object(spot, path, at, lessons.of(n))
        before, told = await made(removing, node, spot, path, lambda held: held.deleted and held.timestamp == at)
        if told:
            lessons.done(n)
        return before

    records = await say(placing, place, one)
    await lessons.make_up(row_of(path, Record(at, 0, "", {}, at, deleted=True), place.policy))
    return records
