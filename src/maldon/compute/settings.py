"""What an operator may say about servers."""

from dataclasses import dataclass

from maldon.kernel.settings import option


@dataclass(frozen=True, slots=True)
class ComputeSettings:
    """Servers, and the words around them."""

    default_zone: str = option("nova", "The availability zone shown for servers that have no host yet.")
    console_wait_s: float = option(10.0, "Seconds a request for a console log waits for the host's answer.")
    keep_deleted_s: int = option(7 * 86400, "Seconds for which a deleted server's actions stay readable.")
    members_pause_s: float = option(
        2.0,
        "Seconds for which groups' new members and networks' new hosts are gathered; five where many are told.",
    )
    wiring_pause_s: float = option(
        0.3, "Seconds for which changes that concern many nodes are gathered before they are told."
    )


@dataclass(frozen=True, slots=True)
class QuotaSettings:
    """What a project may have unless its quota set or the quota class "default" says otherwise; -1 is no limit."""

    instances: int = option(10, "Servers of a project.")
    cores: int = option(20, "Virtual CPUs of a project's servers.")
    ram: int = option(51200, "Memory of a project's servers, in MiB.")
    key_pairs: int = option(100, "Keypairs of a user.")
    metadata_items: int = option(128, "Metadata items of a server.")
    server_groups: int = option(10, "Server groups of a project.")
    server_group_members: int = option(10, "Servers in a server group.")
    injected_files: int = option(5, "Files a server may be created with, while the API allowed it.")
    injected_file_content_bytes: int = option(10240, "Bytes of such a file.")
    injected_file_path_bytes: int = option(255, "Bytes of such a file's path.")
