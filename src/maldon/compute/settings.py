"""What an operator may say about servers."""

from dataclasses import dataclass

from maldon.kernel.settings import option


@dataclass(frozen=True, slots=True)
class ComputeSettings:
    """Servers, and the words around them."""

    default_zone: str = option("nova", "The availability zone shown for servers that have no host yet.")
    console_wait_s: float = option(10.0, "Seconds a request for a console log waits for the host's answer.")
    keep_deleted_s: int = option(7 * 86400, "Seconds for which a deleted server's actions stay readable.")
    wiring_pause_s: float = option(0.3, "Seconds for which changes of the wiring are gathered before a node is told.")
