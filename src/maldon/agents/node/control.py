"""The way to the control plane: the agent protocol and image bytes over HTTP, with the node's own credentials.

One `ControlPlane` may serve many agents of a process: it holds one token and renews it before it expires. Everything
that does not come through raises OSError; the callers' loops try again.
"""

import asyncio
import time
from typing import Any, TypeVar

import aiohttp
import msgspec

from maldon.agents.node.images import Sink
from maldon.ports.agent import DesiredGuests, HostReport, JobResult, ObservedGuest, ObservedWire
from maldon.ports.hypervisor import DriverRefused
from maldon.ports.switch import Wiring

T = TypeVar("T")
RENEW_S = 600
ANSWER_S = 30.0


class Refused(OSError):
    """The control plane answered with an error."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(f"the control plane answered {status}: {text[:300]}")
        self.status = status


class ControlPlane:
    """A client. `auth_url` is the identity service's /v3."""

    def __init__(self, auth_url: str, username: str, password: str, project: str = "service") -> None:
        self._auth_url, self._username, self._password, self._project = auth_url, username, password, project
        self._http: aiohttp.ClientSession | None = None
        self._token, self._until = "", 0.0
        self._endpoints: dict[str, str] = {}
        self._login = asyncio.Lock()

    async def _session(self) -> aiohttp.ClientSession:
        if self._http is None:
            self._http = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0), auto_decompress=False)
        async with self._login:
            if time.monotonic() > self._until:
                await self._log_in(self._http)
        return self._http

    async def _log_in(self, http: aiohttp.ClientSession) -> None:
        domain = {"id": "default"}
        user = {"name": self._username, "domain": domain, "password": self._password}
        body = {
            "auth": {
                "identity": {"methods": ["password"], "password": {"user": user}},
                "scope": {"project": {"name": self._project, "domain": domain}},
            }
        }
        try:
            async with asyncio.timeout(ANSWER_S), http.post(f"{self._auth_url}/auth/tokens", json=body) as answer:
                if answer.status != 201:
                    raise Refused(answer.status, await answer.text())
                token = (await answer.json())["token"]
                self._token = answer.headers["X-Subject-Token"]
        except (aiohttp.ClientError, TimeoutError) as error:
            raise OSError(f"identity is not reachable: {error}") from error
        self._until = time.monotonic() + RENEW_S
        self._endpoints = {
            service["type"]: endpoint["url"].rstrip("/")
            for service in token["catalog"]
            for endpoint in service["endpoints"]
            if endpoint["interface"] == "internal"
        }

    def _agent_url(self, host: str, path: str) -> str:
        return f"{self._endpoints['compute'].rsplit('/v2', 1)[0]}/agent/v1/hosts/{host}{path}"

    async def _call(
        self, method: str, host: str, path: str, body: Any = None, etag: str = "", patience_s: float = ANSWER_S
    ) -> tuple[int, bytes, str]:
        http = await self._session()
        headers = {"X-Auth-Token": self._token, "Content-Type": "application/json"}
        if etag:
            headers["If-None-Match"] = etag
        data = None if body is None else msgspec.json.encode(body)
        try:
            async with (
                asyncio.timeout(patience_s),
                http.request(method, self._agent_url(host, path), data=data, headers=headers) as answer,
            ):
                content = await answer.read()
        except (aiohttp.ClientError, TimeoutError) as error:
            raise OSError(f"the control plane is not reachable: {error}") from error
        if answer.status == 401:
            self._until = 0.0
        if answer.status >= 400:
            raise Refused(answer.status, content.decode(errors="replace"))
        return answer.status, content, answer.headers.get("ETag", "")

    async def report_host(self, host: str, report: HostReport) -> None:
        await self._call("POST", host, "", report)

    async def guests(self, host: str, since: int, wait_s: int) -> DesiredGuests:
        """What changed after `since`, held back up to `wait_s` while there is nothing."""
        path = f"/guests?since={since}&wait={wait_s}"
        _, content, _ = await self._call("GET", host, path, patience_s=wait_s + ANSWER_S)
        return _decoded(content, DesiredGuests)

    async def report_guests(self, host: str, guests: list[ObservedGuest]) -> None:
        await self._call("POST", host, "/guests", guests)

    async def wiring(self, host: str, etag: str, wait_s: int) -> tuple[Wiring | None, str]:
        """The node's wiring and its ETag; None when it is still the one of `etag`."""
        path = f"/wiring?wait={wait_s}"
        status, content, new = await self._call("GET", host, path, etag=etag, patience_s=wait_s + ANSWER_S)
        return (None, etag) if status == 304 else (_decoded(content, Wiring), new)

    async def report_wires(self, host: str, wires: list[ObservedWire]) -> None:
        await self._call("POST", host, "/wiring", wires)

    async def report_job(self, host: str, job: str, result: JobResult) -> None:
        await self._call("POST", host, f"/jobs/{job}", result)

    async def download(self, image_id: str, into: Sink) -> None:
        """Feed an image's bytes into a sink."""
        http = await self._session()
        url = f"{self._endpoints['image']}/v2/images/{image_id}/file"
        patience = aiohttp.ClientTimeout(total=None, sock_connect=ANSWER_S, sock_read=ANSWER_S)
        try:
            async with http.get(url, headers={"X-Auth-Token": self._token}, timeout=patience) as answer:
                if answer.status in {204, 404}:
                    raise DriverRefused(f"Image {image_id} has no bytes any more.")
                if answer.status != 200:
                    raise Refused(answer.status, await answer.text())
                async for chunk in answer.content.iter_chunked(1 << 20):
                    await asyncio.to_thread(into.write, chunk)
        except (aiohttp.ClientError, TimeoutError) as error:
            raise OSError(f"image {image_id} cannot be fetched: {error}") from error

    async def close(self) -> None:
        if self._http is not None:
            await self._http.close()


def _decoded(content: bytes, kind: type[T]) -> T:
    try:
        return msgspec.json.decode(content, type=kind)
    except msgspec.MsgspecError as error:
        raise OSError(f"the control plane's answer cannot be read: {error}") from error
