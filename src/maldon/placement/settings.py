"""What an operator may say about placing servers."""

from dataclasses import dataclass

from maldon.kernel.settings import option


@dataclass(frozen=True, slots=True)
class PlacementSettings:
    """How full a host may become, and when it counts as silent.

    Processors are shared well, memory and disk are not: a host promises only the memory and disk that it has.
    """

    cpu_ratio: float = option(16.0, "Virtual CPUs promised per processor of a host.")
    memory_ratio: float = option(1.0, "Memory promised to servers per memory of a host.")
    disk_ratio: float = option(1.0, "Disk promised to servers per disk of a host.")
    reserved_memory_mb: int = option(512, "Memory of every host that is never promised to servers, in MiB.")
    silent_after_s: int = option(40, "Seconds without a report after which a host gets no new servers.")
