"""The two ways out of the event loop: programs with a deadline, and threads that finish before their caller goes on."""

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO, ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")


async def in_thread(call: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
    """Run a blocking call beside the loop. A cancelled caller still waits for its end: nobody meets it half done."""
    work = asyncio.ensure_future(asyncio.to_thread(call, *args, **kwargs))
    try:
        return await asyncio.shield(work)
    except asyncio.CancelledError:
        await asyncio.wait([work])
        raise


async def run(
    command: Sequence[str],
    *,
    timeout_s: float,
    output: IO[bytes],
    cwd: Path | None = None,
    pass_fds: tuple[int, ...] = (),
) -> int:
    """The exit status of a program, which is dead when this returns or raises; what it says goes to the file `output`.

    A file and no pipe: a QEMU that the program leaves behind would hold the pipe open for ever.
    """
    process = await asyncio.create_subprocess_exec(
        *command,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=output,
        stderr=output,
        cwd=cwd,
        pass_fds=pass_fds,
        start_new_session=True,
    )
    try:
        async with asyncio.timeout(timeout_s):
            return await process.wait()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
