"""A config drive: an ISO 9660 file labelled config-2 with the OpenStack metadata tree."""

import io
import os
from pathlib import Path

from maldon.agents.node.metadata import openstack_files
from maldon.ports.agent import MetadataSpec

VERSIONS = ("2018-08-27", "latest")


def write_config_drive(path: Path, guest: str, spec: MetadataSpec) -> None:
    """Write the drive at `path`, whole or not at all. Takes some milliseconds: call it in a thread."""
    import pycdlib

    iso = pycdlib.PyCdlib()
    iso.new(interchange_level=3, rock_ridge="1.09", joliet=3, vol_ident="config-2")
    iso.add_directory("/OPENSTAC", rr_name="openstack", joliet_path="/openstack")
    for n, version in enumerate(VERSIONS):
        directory = f"/OPENSTAC/V{n}"
        iso.add_directory(directory, rr_name=version, joliet_path=f"/openstack/{version}")
        for m, (name, body) in enumerate(sorted(openstack_files(guest, spec).items())):
            iso.add_fp(
                io.BytesIO(body),
                len(body),
                f"{directory}/F{m}.;1",
                rr_name=name,
                joliet_path=f"/openstack/{version}/{name}",
            )
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.part")
    with beside.open("wb") as out:
        iso.write_fp(out)
        out.flush()
        os.fsync(out.fileno())
    iso.close()
    beside.replace(path)
