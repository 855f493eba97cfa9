"""The extra specs that have a meaning everywhere, and what their values look like.

A key in a known namespace must be one of these, and its value must fit; keys of other namespaces, and keys without one,
are the operator's own. Patterns match the whole text; a trailing ".N" of a key stands for any number.
"""

import re

from maldon.kernel.errors import BadRequest

_BOOL = r"(?i:true|false|yes|no|on|off|t|f|y|n|1|0)"
_INT = r"[0-9]{1,10}"
_ANY = r".*"
_TRAIT = r"required|forbidden"

_SHAPES: dict[str, str] = {
    "accel:device_profile": _ANY,
    "aggregate_instance_extra_specs:*": _ANY,
    "capabilities:*": _ANY,
    "hide_hypervisor_id": _BOOL,
    "group_policy": r"none|isolate",
    "hw:boot_menu": _BOOL,
    "hw:cpu_cores": _INT,
    "hw:cpu_dedicated_mask": r"[0-9,^-]+",
    "hw:cpu_max_cores": _INT,
    "hw:cpu_max_sockets": _INT,
    "hw:cpu_max_threads": _INT,
    "hw:cpu_policy": r"dedicated|shared|mixed",
    "hw:cpu_realtime": _BOOL,
    "hw:cpu_realtime_mask": r"\^?[0-9,^-]+",
    "hw:cpu_sockets": _INT,
    "hw:cpu_thread_policy": r"prefer|isolate|require",
    "hw:cpu_threads": _INT,
    "hw:emulator_threads_policy": r"isolate|share",
    "hw:hide_hypervisor_id": _BOOL,
    "hw:input_bus": r"usb|virtio",
    "hw:locked_memory": _BOOL,
    "hw:maxphysaddr_bits": _INT,
    "hw:maxphysaddr_mode": r"passthrough|emulate",
    "hw:mem_encryption": _BOOL,
    "hw:mem_encryption_model": r"amd-sev|amd-sev-es",
    "hw:mem_page_size": r"large|small|any|[0-9]+([kKMG]i?B?)?",
    "hw:numa_cpus.N": r"[0-9,^-]+",
    "hw:numa_mem.N": _INT,
    "hw:numa_nodes": r"[1-9][0-9]*",
    "hw:pci_numa_affinity_policy": r"required|preferred|legacy|socket",
    "hw:pmem": _ANY,
    "hw:pmu": _BOOL,
    "hw:serial_port_count": _INT,
    "hw:tpm_model": r"tpm-tis|tpm-crb",
    "hw:tpm_secret_security": r"user|host|deployment",
    "hw:tpm_version": r"1\.2|2\.0",
    "hw:vif_multiqueue_enabled": _BOOL,
    "hw:viommu_model": r"intel|smmuv3|virtio|auto",
    "hw:virtio_packed_ring": _BOOL,
    "hw:sound_model": r"sb16|es1370|pcspk|ac97|ich6|ich9|usb|virtio",
    "hw:usb_model": r"qemu-xhci|nec-xhci|piix3-uhci|none",
    "hw:redirected_usb_ports": _INT,
    "hw:watchdog_action": r"none|pause|poweroff|reset|disabled",
    "hw_rng:allowed": _BOOL,
    "hw_rng:rate_bytes": _INT,
    "hw_rng:rate_period": _INT,
    "hw_video:ram_max_mb": _INT,
    "os:secure_boot": r"required|disabled|optional",
    "os:monitors": r"[1-8]",
    "os:resolution": r"[0-9]+x[0-9]+",
    "os:vram": _INT,
    "pci_passthrough:alias": r"[^:,]+:[0-9]+(,[^:,]+:[0-9]+)*",
    "powervm:*": _ANY,
    "quota:cpu_period": _INT,
    "quota:cpu_quota": r"-?[0-9]{1,12}",
    "quota:cpu_shares": _INT,
    "quota:cpu_shares_level": r"low|normal|high|custom",
    "quota:disk_read_bytes_sec": _INT,
    "quota:disk_read_iops_sec": _INT,
    "quota:disk_total_bytes_sec": _INT,
    "quota:disk_total_iops_sec": _INT,
    "quota:disk_write_bytes_sec": _INT,
    "quota:disk_write_iops_sec": _INT,
    "quota:vif_inbound_average": _INT,
    "quota:vif_inbound_burst": _INT,
    "quota:vif_inbound_peak": _INT,
    "quota:vif_outbound_average": _INT,
    "quota:vif_outbound_burst": _INT,
    "quota:vif_outbound_peak": _INT,
    "resources*:*": _INT,
    "trait*:*": _TRAIT,
    "vmware:*": _ANY,
}


def _key_pattern(key: str) -> str:
    escaped = re.escape(key)
    if key.endswith(":*"):
        escaped = escaped.removesuffix(r"\*") + ".+"
    return escaped.replace(r"\*", "[a-zA-Z0-9_-]*").replace(r"\.N", r"\.[0-9]+")


_KNOWN = [(re.compile(_key_pattern(key)), re.compile(shape)) for key, shape in _SHAPES.items()]
_NAMESPACES = re.compile(r"(accel|hw|hw_rng|hw_video|os|pci_passthrough|quota|resources\w*|trait\w*):.*")


def check_specs(specs: dict[str, str]) -> None:
    """Refuse an unknown key in a known namespace, and a value that does not fit its key. Raises BadRequest."""
    for key, value in specs.items():
        shape = next((shape for pattern, shape in _KNOWN if pattern.fullmatch(key)), None)
        if shape is None and _NAMESPACES.fullmatch(key):
            raise BadRequest(f"Validation failed; extra spec '{key}' does not appear to be a valid extra spec.")
        if shape is not None and not shape.fullmatch(value):
            raise BadRequest(f"Validation failed; '{value}' is no value for extra spec '{key}'.")
