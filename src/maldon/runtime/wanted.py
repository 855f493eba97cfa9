"""What the command line of `maldon up` asks for: by itself, so that who only passes it on need not load the cloud."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Wanted:
    """None means that the settings decide."""

    home: Path
    port: int | None = None
    simulate: bool = False
    hosts: int | None = None
    workers: int | None = None
    ready_fd: int | None = None
