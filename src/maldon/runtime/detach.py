"""`maldon up --detach`: the cloud in a process of its own, and word of its being ready (or why not)."""

import os
import select
import subprocess
import sys
import time
from pathlib import Path

from maldon.runtime.home import Home, Trouble
from maldon.runtime.wanted import Wanted

PATIENCE_S = 60.0


def up_detached(wanted: Wanted) -> None:
    """Start it and return once every API answers. Raises Trouble with what it said when it did not start."""
    home = Home(wanted.home)
    home.make()
    reader, writer = os.pipe()
    command = [sys.executable, "-m", "maldon.runtime", "up", "--home", str(home.path), "--ready-fd", str(writer)]
    command += ["--simulate"] if wanted.simulate else []
    for name in ("port", "hosts", "workers"):
        command += [f"--{name}", str(value)] if (value := getattr(wanted, name)) else []
    with (home / "maldon.log").open("ab") as log:
        begun = log.tell()
        child = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, pass_fds=(writer,), start_new_session=True
        )
    os.close(writer)
    try:
        if not _ready(reader, child):
            raise Trouble(_last_words(home / "maldon.log", begun))
    finally:
        os.close(reader)


def _ready(reader: int, child: subprocess.Popen[bytes]) -> bool:
    """Whether the child said it is ready; an end of the pipe means it died."""
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        readable, _, _ = select.select([reader], [], [], 0.5)
        if readable:
            return os.read(reader, 64).startswith(b"ready")
    child.terminate()
    return False


def _last_words(log: Path, begun: int) -> str:
    text = log.read_bytes()[begun:].decode(errors="replace")
    sentences = [line.removeprefix("maldon: ") for line in text.splitlines() if line.startswith("maldon: ")]
    return sentences[-1] if sentences else f"The cloud did not start; {log} says why."
