"""Settings of the object store: the section [object]. The limits are what /info tells clients, so they look there."""

from dataclasses import dataclass

from maldon.kernel.settings import option


@dataclass(frozen=True, slots=True)
class ObjectSettings:
    """Of proxies and of storage nodes alike."""

    address: str = option("", "host:port where other nodes find this one's disks; empty is a store of one node.")
    devices: tuple[str, ...] = option(
        ("disk-1",), "Names of this node's disks: directories, or mounts, below objects/."
    )
    port: int = option(
        0, "Port of the object store's own; 0: 8080 where the APIs have native ports or there are workers, else none."
    )
    workers: int = option(1, "Processes that serve objects from this node's disks.")
    policies: tuple[str, ...] = option(
        ("0:Policy-0",),
        "Storage policies, each index:name[:alias…], then :ec=kind/data+parity for an erasure code and :deprecated.",
    )
    default_policy: str = option("", "Policy of a new container that names none; empty is the one with index 0.")
    without: tuple[str, ...] = option(
        ("name_check", "tempauth", "list_endpoints", "recon"), "Layers of the proxy that are off, by name."
    )
    access_log: bool = option(False, "Whether every request to the proxy gets a line in the log.")

    expose_info: bool = option(True, "Whether /info tells anybody what the store can do.")
    info_hidden: tuple[str, ...] = option(
        (), "What of /info only operators see: a section, or section.name (swift.version)."
    )
    info_key: str = option("", "Key with which operators sign to see all of /info; without one nobody does.")

    reseller_prefix: str = option("AUTH_", "What stands before the project's id in the name of its account.")
    operator_roles: tuple[str, ...] = option(
        ("admin", "manager", "member", "swiftoperator"), "Roles that may do everything in their project's account."
    )
    reader_roles: tuple[str, ...] = option(("reader",), "Roles that may read everything in their project's account.")
    reseller_admin_role: str = option("ResellerAdmin", "Role that may do everything in every account.")
    service_prefixes: tuple[str, ...] = option(
        (), "Accounts that a service shares with a project, each prefix:role; X-Service-Token must have the role."
    )
    allow_names_in_acls: bool = option(True, "Whether access lists may name users and projects of the default domain.")
    default_domain_id: str = option("default", "Id of the domain whose names may stand in access lists.")
    account_autocreate: bool = option(True, "Whether an account comes to be with its first container.")
    allow_account_management: bool = option(False, "Whether a reseller admin may PUT and DELETE accounts.")

    allow_open_expired: bool = option(False, "Whether X-Open-Expired shows objects that expired and are still there.")

    delay_reaping: tuple[str, ...] = option(
        (), "How long expired objects stay: account:seconds, account/container:seconds, or *:seconds for all others."
    )

    max_file_size: int = option(5 * 2**30 + 2, "Bytes of the largest object in one piece.")
    max_account_name_length: int = option(256, "Bytes of the longest account name.")
    max_container_name_length: int = option(256, "Bytes of the longest container name.")
    max_object_name_length: int = option(1024, "Bytes of the longest object name.")
    max_meta_name_length: int = option(128, "Bytes of the longest name of a metadata item, without its prefix.")
    max_meta_value_length: int = option(256, "Bytes of the longest value of a metadata item.")
    max_meta_count: int = option(90, "Metadata items one thing may have.")
    max_meta_overall_size: int = option(4096, "Bytes of all names and values of one thing's metadata.")
    max_header_size: int = option(8192, "Bytes of the longest header value.")
    account_listing_limit: int = option(10000, "Containers in one page of a listing.")
    container_listing_limit: int = option(10000, "Objects in one page of a listing.")
    strict_cors_mode: bool = option(True, "Whether CORS headers are only sent to origins that the container allows.")
    cors_allow_origin: tuple[str, ...] = option((), "Origins that every container allows.")
    cors_expose_headers: tuple[str, ...] = option((), "Headers that every container lets scripts of other origins see.")

    client_timeout_s: float = option(60.0, "Seconds without a kilobyte of its body after which a request is given up.")
    node_timeout_s: float = option(10.0, "Seconds a storage node may take for a small thing, or for the next bytes.")
    connect_timeout_s: float = option(0.5, "Seconds a storage node may take to answer a connection.")
    requests_per_disk_s: float = option(0.0, "Requests of other nodes one disk answers in a second; 0: any.")
    error_limit: int = option(10, "Errors of a disk after which it is left alone for a while.")
    error_rest_s: float = option(60.0, "Seconds a disk is left alone after too many errors.")
    replicate_s: float = option(60.0, "Seconds between two comparisons of a node's objects with those of the others.")
    replicate_books_s: float = option(15.0, "Seconds between two looks for accounts and containers that changed.")
    audit_s: float = option(3600.0, "Seconds between two readings of all objects that a node's disks hold.")
    audit_books_s: float = option(21_600.0, "Seconds between two readings of all accounts and containers on a node.")
    pay_debts_s: float = option(5.0, "Seconds between two attempts to tell containers what they were not told yet.")
    known_s: float = option(1.0, "Seconds for which what was seen of a container or account is believed.")


DEFAULTS = ObjectSettings()
