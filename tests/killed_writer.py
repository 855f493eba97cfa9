"""A process that writes and says on its output what it is about, killed after a while: what a ledger is kept from."""

import asyncio
import sys
from collections.abc import Callable


async def write_until_killed(module: str, *words: object, seconds: float, note: Callable[[str], None]) -> None:
    """Run `python -m module words…`; each whole line that it says once it is ready is noted, the last ones too."""
    writer = await asyncio.create_subprocess_exec(
        sys.executable, "-m", module, *map(str, words), stdout=asyncio.subprocess.PIPE
    )
    assert writer.stdout is not None
    try:
        while (line := await writer.stdout.readline()) != b"ready\n":
            assert line, "the writer could not begin"
        reading = asyncio.ensure_future(_read(writer.stdout, note))
        await asyncio.sleep(seconds)
        assert writer.returncode is None, "the writer ended by itself"
    finally:
        if writer.returncode is None:
            writer.kill()
        await writer.wait()
    await reading


async def _read(lines: asyncio.StreamReader, note: Callable[[str], None]) -> None:
    while line := await lines.readline():
        if line.endswith(b"\n"):
            note(line.decode())
