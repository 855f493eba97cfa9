"""A cloud's home: the one directory under which all of its state lives.

    maldon.toml  settings (optional)      policy.yaml  rules that differ from the defaults (optional)
    maldon.db    the books                secrets.json random passwords, 0600
    clouds.yaml  for the stock clients, 0600           run.json  who runs it now
    fernet-keys/ credential-keys/ images/ nodes/<host>/    maldon.log   the log of a detached cloud

One process at a time runs a home's cloud: it holds the file `lock`.
"""

import fcntl
import json
import os
import secrets
from pathlib import Path
from typing import Any

import psutil


class Trouble(Exception):
    """Why the command cannot go on: one sentence for whoever typed it. Exit code 1."""


class Home:
    """The directory and its files."""

    def __init__(self, path: Path) -> None:
        self.path = path.absolute()

    def __truediv__(self, name: str) -> Path:
        return self.path / name

    def make(self) -> None:
        """Make the directory. Raises Trouble when it cannot be."""
        try:
            self.path.mkdir(parents=True, exist_ok=True, mode=0o755)
        except OSError as error:
            raise Trouble(f"The home {self.path} cannot be made: {error.strerror}.") from error
        if not os.access(self.path, os.W_OK):
            raise Trouble(f"The home {self.path} cannot be written; choose another with --home.")

    def lock(self) -> int:
        """Take the home; the file descriptor that holds it. Raises Trouble that names the holder."""
        held = os.open(self / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(held)
            run = self.running() or {}
            raise Trouble(
                f"The cloud in {self.path} runs already as process {run.get('pid', '(unknown)')}; "
                f"`maldon down --home {self.path}` stops it."
            ) from None
        return held

    def running(self) -> dict[str, Any] | None:
        """What `run.json` says, if the process it names is alive."""
        run = self.read_json("run.json")
        if run is None or not psutil.pid_exists(run["pid"]):
            return None
        try:
            begun = psutil.Process(run["pid"]).create_time()
        except psutil.Error:
            return None
        return run if abs(begun - run["begun"]) < 1 else None

    def read_json(self, name: str) -> Any:
        """A JSON file's value; None when there is none."""
        try:
            return json.loads((self / name).read_text())
        except FileNotFoundError:
            return None

    def write(self, name: str, text: str, mode: int = 0o600) -> None:
        """Write a small file, whole or not at all."""
        beside = self / f".{name}.{os.getpid()}"
        with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode), "w") as out:
            out.write(text)
            out.flush()
            os.fsync(out.fileno())
        beside.replace(self / name)

    def write_json(self, name: str, value: Any) -> None:
        self.write(name, json.dumps(value, indent=1) + "\n")

    def secrets(self) -> dict[str, str]:
        """The cloud's passwords, made at the first call."""
        known = self.read_json("secrets.json") or {}
        missing = [name for name in ("admin", "demo", "node") if name not in known]
        if missing:
            known |= {name: secrets.token_urlsafe(18) for name in missing}
            self.write_json("secrets.json", known)
        return dict(known)

    def state(self) -> dict[str, Any]:
        """What was chosen once for this home: the node's short name, the external range, whether it is simulated."""
        return self.read_json("state.json") or {}

    def keep(self, **chosen: Any) -> dict[str, Any]:
        """Remember choices; what was chosen before stays."""
        state = {**chosen, **self.state()}
        self.write_json("state.json", state)
        return state
