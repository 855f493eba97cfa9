"""What commands need of a home's object store: its settings, its cluster, without a process that serves it."""

from pathlib import Path

from maldon.kernel.settings import BadSetting
from maldon.objectstore import service as objectstore
from maldon.objectstore.policies import Policies, read_policies
from maldon.objectstore.secrets import Secrets, read_secrets
from maldon.runtime.home import Home, Trouble


def settings_of(home: Path) -> objectstore.ObjectSettings:
    """The section [object]. Raises Trouble."""
    from maldon.runtime.settings import read_settings

    return read_settings(Home(home) / "maldon.toml").object


def policies_of(home: Path) -> Policies:
    """The storage policies. Raises Trouble."""
    wanted = settings_of(home)
    try:
        return read_policies(wanted.policies, wanted.default_policy)
    except BadSetting as error:
        raise Trouble(str(error)) from error


def secrets_file(home: Path) -> Path:
    """Where a home has what the nodes of its cluster share."""
    return Home(home) / "objects" / "cluster.json"


def secrets_of(home: Path) -> Secrets:
    """What the nodes of the cluster share. Raises Trouble when the home has none."""
    file = secrets_file(home)
    found = read_secrets(file)
    if found is None:
        raise Trouble(
            f"There is no {file}: it is made at the first start of a store, and a further node gets a copy of it."
        )
    return found


def cluster_of(home: Path) -> objectstore.Cluster:
    """The cluster as this home knows it. Raises Trouble."""
    from maldon.runtime.settings import read_settings

    secrets_of(home)
    settings = read_settings(Home(home) / "maldon.toml")
    try:
        return objectstore.open_cluster(Home(home).path, settings.object, settings.object_parts)
    except (BadSetting, objectstore.BadRing) as error:
        raise Trouble(str(error)) from error
