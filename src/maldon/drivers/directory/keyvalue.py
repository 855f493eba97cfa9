"""Users and groups in the cloud's key-value store: a directory without a server of its own, all of it to be written.

Each user and group is one document, each name one key that says whose it is, so that no name is given twice; who is in
a group stands in the group's document. A change is a compare-and-set, tried again when somebody else was quicker. A
name is taken before its owner is written and given up after: what a crash leaves is a name that nobody has, and the
next who wants it gets it. Passwords are kept as scrypt hashes.
"""

import asyncio
import hashlib
import hmac
import secrets as random
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from typing import ClassVar, TypeVar

import msgspec

from maldon.kernel.errors import Conflict, Duplicate, NotFound, Unavailable
from maldon.ports.directory import FEATURES, DirectoryGroup, DirectoryUser
from maldon.ports.keyvalue import KeyValue

T = TypeVar("T", bound=msgspec.Struct)
_TRIES = 20
_N, _R, _P = 1 << 14, 8, 1


class KeyValueOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """There is nothing to be set: the store is the cloud's."""


class _User(msgspec.Struct, frozen=True):
    user: DirectoryUser
    password: str | None = None


class _Group(msgspec.Struct, frozen=True):
    group: DirectoryGroup
    members: list[str] = []


class KeyValueDirectory:
    """See ports.directory."""

    Options: ClassVar = KeyValueOptions
    secrets: ClassVar[frozenset[str]] = frozenset()
    features = FEATURES

    def __init__(self, domain_id: str, options: KeyValueOptions, keyvalue: KeyValue) -> None:  # noqa: ARG002 - the port's
        self._who, self._store = f"The directory of domain {domain_id}", keyvalue
        self._root = f"directory/{domain_id}/"
        self._nobody = _hash(random.token_hex(16))

    async def close(self) -> None:
        """The store is the cloud's, and stays open."""

    async def authenticate(self, user_id: str | None, password: str) -> bool:
        kept = await self._get(_User, "user", user_id) if user_id is not None else None
        stored = kept.password if kept is not None else None
        right = await asyncio.to_thread(_matches, stored or self._nobody, password)
        return right and stored is not None

    async def user(self, user_id: str) -> DirectoryUser | None:
        kept = await self._get(_User, "user", user_id)
        return None if kept is None else kept.user

    async def user_named(self, name: str) -> DirectoryUser | None:
        id_ = await self._holder("user", name)
        found = None if id_ is None else await self.user(id_)
        return found if found is not None and found.name == name else None

    async def users(self, limit: int) -> list[DirectoryUser]:
        return [kept.user async for kept in self._all(_User, "user", limit)]

    async def group(self, group_id: str) -> DirectoryGroup | None:
        kept = await self._get(_Group, "group", group_id)
        return None if kept is None else kept.group

    async def groups(self, limit: int) -> list[DirectoryGroup]:
        return [kept.group async for kept in self._all(_Group, "group", limit)]

    async def groups_of(self, user_id: str) -> list[DirectoryGroup]:
        return [kept.group async for kept in self._all(_Group, "group") if user_id in kept.members]

    async def members_of(self, group_id: str) -> set[str]:
        kept = await self._get(_Group, "group", group_id)
        return set() if kept is None else set(kept.members)

    async def memberships(self) -> dict[str, set[str]]:
        return {kept.group.id: set(kept.members) async for kept in self._all(_Group, "group") if kept.members}

    async def add_user(self, user: DirectoryUser, password: str | None) -> DirectoryUser:
        kept = _User(user, None if password is None else await asyncio.to_thread(_hash, password))
        await self._add("user", user.id, user.name, kept)
        return user

    async def change_user(self, user: DirectoryUser, password: str | None) -> None:
        fresh = None if password is None else await asyncio.to_thread(_hash, password)

        def changed(old: _User) -> _User:
            return _User(user, fresh or old.password)

        old = await self._get(_User, "user", user.id)
        await self._rename("user", user.id, old.user.name if old is not None else "", user.name)
        await self._change(_User, "user", user.id, changed)

    async def remove_user(self, user_id: str) -> None:
        user = await self.user(user_id)
        if user is None:
            raise NotFound(f"{self._who} has no such user.")
        for group in await self.groups_of(user_id):
            await self._set_member(group.id, user_id, inside=False)
        await self._remove("user", user_id, user.name)

    async def add_group(self, group: DirectoryGroup) -> DirectoryGroup:
        await self._add("group", group.id, group.name, _Group(group))
        return group

    async def change_group(self, group: DirectoryGroup) -> None:
        old = await self.group(group.id)
        await self._rename("group", group.id, old.name if old is not None else "", group.name)
        await self._change(_Group, "group", group.id, lambda kept: _Group(group, kept.members))

    async def remove_group(self, group_id: str) -> None:
        group = await self.group(group_id)
        if group is None:
            raise NotFound(f"{self._who} has no such group.")
        await self._remove("group", group_id, group.name)

    async def add_member(self, group_id: str, user_id: str) -> None:
        if await self.user(user_id) is None:
            raise NotFound(f"{self._who} has no such user.")
        await self._set_member(group_id, user_id, inside=True)

    async def remove_member(self, group_id: str, user_id: str) -> None:
        if user_id not in await self.members_of(group_id):
            raise NotFound("The user is not in the group.")
        await self._set_member(group_id, user_id, inside=False)

    async def _set_member(self, group_id: str, user_id: str, *, inside: bool) -> None:
        def changed(kept: _Group) -> _Group:
            members = {*kept.members, user_id} if inside else {*kept.members} - {user_id}
            return _Group(kept.group, sorted(members))

        await self._change(_Group, "group", group_id, changed)

    # documents and names

    def _key(self, kind: str, id_: str) -> str:
        return f"{self._root}{kind}/{hashlib.sha256(id_.encode()).hexdigest()}"

    def _name_key(self, kind: str, name: str) -> str:
        return self._key(f"{kind}-name", name)

    async def _get(self, form: type[T], kind: str, id_: str) -> T | None:
        with self._reached():
            content = await self._store.get(self._key(kind, id_))
        return None if content is None else msgspec.json.decode(content, type=form)

    async def _all(self, form: type[T], kind: str, limit: int | None = None) -> AsyncIterator[T]:
        with self._reached():
            found = 0
            async for _, content in self._store.scan(f"{self._root}{kind}/"):
                if found == limit:
                    return
                found += 1
                yield msgspec.json.decode(content, type=form)

    async def _holder(self, kind: str, name: str) -> str | None:
        with self._reached():
            content = await self._store.get(self._name_key(kind, name))
        return None if content is None else content.decode()

    async def _take_name(self, kind: str, id_: str, name: str) -> None:
        """Have the name; it is free, too, when whoever has it does not call himself so."""
        holder = await self._holder(kind, name)
        if holder == id_:
            return
        if holder is not None and await self._is_called(kind, holder, name):
            raise Duplicate(f"{self._who} has a {kind} of the name {name} already.")
        with self._reached():
            old = None if holder is None else holder.encode()
            if not await self._store.swap(self._name_key(kind, name), old, id_.encode()):
                raise Duplicate(f"{self._who} has a {kind} of the name {name} already.")

    async def _is_called(self, kind: str, id_: str, name: str) -> bool:
        found = await (self.user(id_) if kind == "user" else self.group(id_))
        return found is not None and found.name == name

    async def _give_up_name(self, kind: str, id_: str, name: str) -> None:
        with self._reached():
            await self._store.swap(self._name_key(kind, name), id_.encode(), None)

    async def _add(self, kind: str, id_: str, name: str, kept: msgspec.Struct) -> None:
        await self._take_name(kind, id_, name)
        with self._reached():
            if not await self._store.swap(self._key(kind, id_), None, msgspec.json.encode(kept)):
                raise Duplicate(f"{self._who} has a {kind} of the id {id_} already.")

    async def _rename(self, kind: str, id_: str, old: str, new: str) -> None:
        """Take the new name; the old one is found free by whoever wants it, once nobody is called so."""
        if not old:
            raise NotFound(f"{self._who} has no such {kind}.")
        await self._take_name(kind, id_, new)

    async def _change(self, form: type[T], kind: str, id_: str, change: Callable[[T], T]) -> None:
        key = self._key(kind, id_)
        for _ in range(_TRIES):
            with self._reached():
                content = await self._store.get(key)
                if content is None:
                    raise NotFound(f"{self._who} has no such {kind}.")
                new = msgspec.json.encode(change(msgspec.json.decode(content, type=form)))
                if await self._store.swap(key, content, new):
                    return
        raise Conflict(f"{self._who} is being changed by many at once; try again.")

    async def _remove(self, kind: str, id_: str, name: str) -> None:
        with self._reached():
            await self._store.delete(self._key(kind, id_))
        await self._give_up_name(kind, id_, name)

    @contextmanager
    def _reached(self) -> Iterator[None]:
        """A store that cannot be reached is a directory that does not answer."""
        try:
            yield
        except OSError as error:
            raise Unavailable(
                f"{self._who} does not answer. Tokens issued before go on; try again in a while.", internal=str(error)
            ) from error


def _hash(password: str) -> str:
    salt = random.token_bytes(16)
    return f"{salt.hex()}${_scrypt(password, salt).hex()}"


def _matches(stored: str, password: str) -> bool:
    salt, _, digest = stored.partition("$")
    return hmac.compare_digest(_scrypt(password, bytes.fromhex(salt)).hex(), digest)


def _scrypt(password: str, salt: bytes) -> bytes:
    return hashlib.scrypt(password.encode(), salt=salt, n=_N, r=_R, p=_P, maxmem=64 << 20)
