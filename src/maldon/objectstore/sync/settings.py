"""What an operator may say about containers that are kept the same as containers elsewhere."""

from dataclasses import dataclass

from maldon.kernel.settings import option


@dataclass(frozen=True, slots=True)
class ContainerSyncSettings:
    """Of the layer that lets syncing in, and of the loop that pushes."""

    realms: str = option("", "File of the realms within which clusters sync (container-sync-realms.conf); empty: none.")
    current: str = option("", "What this cluster is called in it, as //realm/cluster; shown by /info.")
    allow_full_urls: bool = option(True, "Whether a container may be synced to a URL, not only within a realm.")
    allowed_sync_hosts: tuple[str, ...] = option(
        (), "Hosts that containers may be synced to by URL: a name or address, with :port where only one is meant."
    )
    interval_s: float = option(300.0, "Seconds between two rounds of pushing what changed.")
    container_time_s: float = option(60.0, "Seconds that one container gets in a round.")
    bytes_per_s: int = option(100_000_000, "Bytes this node sends to other clusters in a second.")
    connect_timeout_s: float = option(5.0, "Seconds another cluster may take to answer a connection.")
