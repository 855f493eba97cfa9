"""Decides which disk holds which replica of which partition: a pure plan, given the clock and the dice.

Every disk wants its share of all replicas by weight, but never two of one partition. A replica goes where the fewest
others of its partition are: by region, then zone, then node; among equals to the disk that lacks most. `overload` lets
a disk take that much more than its share where this keeps replicas farther apart; without it weight goes first.

A round of `rebalance` moves at most one replica of a partition, so that the others are where readers look for them, and
none that moved within `min_part_hours`; from a disk that is removed, at once. It moves only what has no disk, must
leave one, can be kept farther apart, or is more than its disk's share: a balanced ring stays as it is.
"""

import random
from array import array
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import msgspec

from maldon.objectstore.ring.device import Column, RingDevice, Tier
from maldon.objectstore.ring.ring import NOWHERE


@dataclass(frozen=True)
class Plan:
    """A ring with what its next round must know. `moved_at` is in hours, one a partition."""

    power: int
    replicas: float
    min_part_hours: int = 1
    overload: float = 0.0
    version: int = 0
    devices: tuple[RingDevice, ...] = ()
    table: tuple[Column, ...] = ()
    moved_at: Column = field(default_factory=lambda: array("I"))

    @property
    def partitions(self) -> int:
        return 1 << self.power

    def rows(self) -> list[int]:
        """How long each replica's row of the table is; the last is short for a fractional replica."""
        whole, part = divmod(self.replicas, 1)
        return [self.partitions] * int(whole) + ([round(part * self.partitions)] if part else [])

    def with_device(self, device: RingDevice) -> "Plan":
        """One more disk, or another weight for one that is there."""
        others = [known for known in self.devices if known.id != device.id]
        return replace(self, devices=tuple(sorted([*others, device], key=lambda known: known.id)))

    def without_device(self, id_: int) -> "Plan":
        """The disk is to be emptied; it is forgotten once nothing is on it."""
        found = next(device for device in self.devices if device.id == id_)
        return self.with_device(msgspec.structs.replace(found, removed=True))


@dataclass(frozen=True)
class Outcome:
    """What a round did. `waiting` replicas should move still, but their partition moved a short while ago."""

    plan: Plan
    moved: int
    waiting: int
    balance: float
    dispersion: float


def shares(plan: Plan) -> dict[int, int]:
    """How many replicas each disk should hold: by weight, at most one of each partition, all of them together."""
    total, left = sum(plan.rows()), {device.id: device.share for device in plan.devices if device.share > 0}
    exact: dict[int, float] = {}
    while left:  # a disk that cannot hold its share leaves the rest to the others
        rest, weight = total - sum(exact.values()), sum(left.values())
        full = [id_ for id_, share in left.items() if rest * share / weight > plan.partitions]
        exact |= {id_: float(plan.partitions) for id_ in full} or {i: rest * s / weight for i, s in left.items()}
        left = {id_: share for id_, share in left.items() if id_ not in exact}
    whole = {id_: int(share) for id_, share in exact.items()}
    missing = min(total, plan.partitions * len(exact)) - sum(whole.values())
    for id_ in sorted(exact, key=lambda i: (whole[i] - exact[i], i))[:missing]:
        whole[id_] += 1
    return whole


def rebalance(plan: Plan, now_h: int, dice: random.Random) -> Outcome:
    """One round. Raises ValueError when there are fewer disks than replicas."""
    if len([device for device in plan.devices if device.share > 0]) < plan.replicas:
        raise ValueError(f"{plan.replicas:g} replicas need as many devices with a weight.")
    work = _Round(plan, now_h, dice)
    work.place_new()
    work.empty_removed()
    work.spread()
    work.level()
    work.exchange()
    return work.outcome()


class _Round:
    def __init__(self, plan: Plan, now_h: int, dice: random.Random) -> None:
        self.plan, self.now_h, self.dice = plan, now_h, dice
        self.devices = {device.id: device for device in plan.devices}
        self.table = [_resized(row, length) for row, length in zip(_padded(plan), plan.rows(), strict=True)]
        self.moved_at = _resized(plan.moved_at, plan.partitions, 0)
        self.held = Counter(id_ for row in self.table for id_ in row if id_ != NOWHERE)
        self.share = shares(plan)
        self.most = {i: min(plan.partitions, int(n * (1 + plan.overload))) for i, n in self.share.items()}
        self.children = _tree(plan.devices)
        self.lack: Counter[Tier] = Counter()
        self.room: Counter[Tier] = Counter()
        for id_ in self.share:
            self._count(id_, 0)
        self.order = list(range(plan.partitions))
        dice.shuffle(self.order)
        self.touched: set[int] = set()
        self.moved = self.waiting = 0
        self.best = _best_spread(plan)

    def _count(self, id_: int, change: int) -> None:
        """A disk holds `change` more; its tiers lack and have room for as many less."""
        before, after = self.held[id_], self.held[id_] + change
        self.held[id_] = after
        if id_ not in self.share:
            return
        for counter, limit in ((self.lack, self.share[id_]), (self.room, self.most[id_])):
            delta = max(0, limit - after) - (max(0, limit - before) if change else 0)
            for tier in self.devices[id_].tiers:
                counter[tier] += delta

    def place_new(self) -> None:
        """Replicas that are nowhere."""
        for row, column in enumerate(self.table):
            for part in self.order:
                if part < len(column) and column[part] == NOWHERE:
                    self._put(part, row, self._where(part, row), moves=False)

    def empty_removed(self) -> None:
        """Replicas whose disk takes none any more. What is on one that is drained is read, and rests after a move."""
        for part, row in self._replicas():
            here = self.table[row][part]
            if here in self.share:
                continue
            if part in self.touched or not (self.devices[here].removed or self._movable(part)):
                self.waiting += 1
            else:
                self._put(part, row, self._where(part, row))

    def spread(self) -> None:
        """Replicas nearer to others than they need be."""
        for part in self.order:
            if self._spread(part) != self.best and self._movable(part):
                self._spread_out(part)

    def _spread_out(self, part: int) -> None:
        for row in self._rows(part):
            here, there = self.table[row][part], self._where(part, row, strict=True)
            if there is not None and self._crowd(part, row, there) < self._crowd(part, row, here):
                self._put(part, row, there)
                return

    def level(self) -> None:
        """Replicas that are more than their disk's share, first those for which another place is as good."""
        for strict, limit in ((True, self.share), (False, self.most)):
            for part, row in self._replicas():
                here = self.table[row][part]
                if here not in limit or self.held[here] <= limit[here]:
                    continue
                if not self._movable(part):
                    self.waiting += not strict
                    continue
                there = self._where(part, row, strict=True)
                if there is None or (strict and self._crowd(part, row, there) > self._crowd(part, row, here)):
                    continue
                self._put(part, row, there)

    def exchange(self) -> None:
        """Replicas that are more than their disk's share while the disks that lack some have one of the same partition
        already: by way of a third disk, which gives one of another partition for it.
        """
        lacking = [id_ for id_, share in self.share.items() if self.held[id_] < share]
        givers: dict[int, list[tuple[int, int]]] = defaultdict(list)
        if lacking:
            for part, row in self._replicas():
                if self._movable(part):
                    givers[self.table[row][part]].append((part, row))
        for part, row in self._replicas() if givers else ():
            here = self.table[row][part]
            if here in self.most and self.held[here] > self.most[here] and self._movable(part):
                self._exchange(part, row, lacking, givers)

    def _exchange(self, part: int, row: int, lacking: list[int], givers: dict[int, list[tuple[int, int]]]) -> None:
        own = self._holders(part)
        for third in sorted(self.share.keys() - own):
            while givers[third]:
                given, line = givers[third].pop()
                others = self._holders(given)
                there = next((i for i in lacking if self.held[i] < self.share[i] and i not in others), None)
                if there is not None and given != part and third in others and self._movable(given):
                    self._put(given, line, there)
                    self._put(part, row, third)
                    return

    def _holders(self, part: int) -> set[int]:
        return {self.table[row][part] for row in self._rows(part)}

    def _replicas(self) -> Iterator[tuple[int, int]]:
        return ((part, row) for part in self.order for row in self._rows(part))

    def _rows(self, part: int) -> list[int]:
        return [row for row, column in enumerate(self.table) if part < len(column)]

    def _movable(self, part: int) -> bool:
        rested = self.now_h - self.moved_at[part] >= self.plan.min_part_hours or not self.moved_at[part]
        return part not in self.touched and rested

    def _put(self, part: int, row: int, there: int | None, *, moves: bool = True) -> None:
        if there is None:
            return
        here = self.table[row][part]
        if here != NOWHERE:
            self._count(here, -1)
        self.table[row][part] = there
        self._count(there, 1)
        if moves or self.plan.version:  # a replica that is new is one that is not there yet, too
            self.touched.add(part)
            self.moved_at[part] = self.now_h
            self.moved += moves

    def _others(self, part: int, row: int) -> list[RingDevice]:
        ids = [self.table[r][part] for r in self._rows(part) if r != row]
        return [self.devices[id_] for id_ in ids if id_ != NOWHERE]

    def _crowd(self, part: int, row: int, id_: int) -> tuple[int, ...]:
        """How many others of the partition share its region, zone, node and disk."""
        others = self._others(part, row)
        return tuple(sum(o.tiers[n] == tier for o in others) for n, tier in enumerate(self.devices[id_].tiers))

    def _where(self, part: int, row: int, *, strict: bool = False) -> int | None:
        """The best disk for a replica; None when only full ones are left and `strict` forbids them."""
        near = Counter(tier for other in self._others(part, row) for tier in other.tiers)
        by_weight = self._descend((), near, self.lack)
        if self.plan.overload:
            farthest = self._descend((), near, self.room)
            if by_weight is None or (
                farthest is not None and self._nears(near, farthest) < self._nears(near, by_weight)
            ):
                by_weight = farthest
        if by_weight is not None or strict:
            return by_weight
        free = [id_ for id_ in self.share if not near[self.devices[id_].tiers[3]]]
        return min(free, key=lambda id_: (self.held[id_] - self.share[id_], self._nears(near, id_), id_), default=None)

    def _nears(self, near: Counter[Tier], id_: int) -> tuple[int, ...]:
        return tuple(near[tier] for tier in self.devices[id_].tiers)

    def _descend(self, tier: Tier, near: Counter[Tier], room: Counter[Tier]) -> int | None:
        """The disk below `tier` with the fewest others near it and the most room, among those that have any."""
        if len(tier) == 4:
            return None if near[tier] else int(tier[3])
        below = [child for child in self.children[tier] if room[child] > 0]
        for child in sorted(below, key=lambda c: (near[c], -room[c])):
            found = self._descend(child, near, room)
            if found is not None:
                return found
        return None

    def _spread(self, part: int) -> tuple[int, ...]:
        tiers = [self.devices[self.table[row][part]].tiers for row in self._rows(part)]
        return tuple(len({tier[n] for tier in tiers}) for n in range(3))

    def outcome(self) -> Outcome:
        used = {id_ for id_, n in self.held.items() if n}
        devices = tuple(d for d in self.plan.devices if not d.removed or d.id in used)
        made = replace(
            self.plan,
            version=self.plan.version + 1,
            devices=devices,
            table=tuple(self.table),
            moved_at=self.moved_at,
        )
        return Outcome(made, self.moved, self.waiting, balance(made), dispersion(made))


def balance(plan: Plan) -> float:
    """By how many percent the worst disk is off its share."""
    held = Counter(id_ for row in plan.table for id_ in row)
    return max((abs(held[id_] / n - 1) * 100 for id_, n in shares(plan).items() if n), default=0.0)


def dispersion(plan: Plan) -> float:
    """How many percent of the partitions have replicas nearer to each other than the disks would allow."""
    if not plan.table:
        return 0.0
    best, tiers = _best_spread(plan), {device.id: device.tiers for device in plan.devices}
    near = 0
    for part in range(plan.partitions):
        own = [tiers[row[part]] for row in plan.table if part < len(row)]
        near += any(len({t[n] for t in own}) < min(len(own), best[n]) for n in range(3))
    return near * 100 / plan.partitions


def _best_spread(plan: Plan) -> tuple[int, ...]:
    """In how many regions, zones and nodes the replicas of a partition can be."""
    live = [device for device in plan.devices if device.share > 0]
    return tuple(min(len(plan.rows()), len({device.tiers[n] for device in live})) for n in range(3))


def _tree(devices: tuple[RingDevice, ...]) -> dict[Tier, list[Tier]]:
    children: dict[Tier, dict[Tier, None]] = defaultdict(dict)
    for device in devices:
        above: Tier = ()
        for tier in device.tiers:
            children[above][tier] = None
            above = tier
    return {tier: list(below) for tier, below in children.items()}


def _padded(plan: Plan) -> list[Column]:
    rows = list(plan.table)[: len(plan.rows())]
    return rows + [array("H")] * (len(plan.rows()) - len(rows))


def _resized(row: Column, length: int, filler: int = NOWHERE) -> Column:
    return row[:length] + array(row.typecode, [filler]) * max(0, length - len(row))
