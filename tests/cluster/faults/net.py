"""The network of a cluster: a bridge, and a namespace for each node.

Everything is inside the namespaces that `tests/cluster/faults/__main__.py` is started in, so it has no names that
others could see, and goes with the last process.
"""

import subprocess
from collections.abc import Iterable, Sequence

NETWORK = "10.66.0"
CLIENT = f"{NETWORK}.254"


def run(*words: str, stdin: str = "") -> None:
    """A command that must succeed."""
    done = subprocess.run(words, input=stdin, capture_output=True, text=True, check=False, timeout=30)
    assert done.returncode == 0, f"{' '.join(words)}: {done.stderr}"


def make_bridge() -> None:
    """The network's middle, with the client's address."""
    run("ip", "link", "set", "lo", "up")
    run("ip", "link", "add", "middle", "type", "bridge")
    run("ip", "addr", "add", f"{CLIENT}/24", "dev", "middle")
    run("ip", "link", "set", "middle", "up")


class Port:
    """A namespace joined to the bridge: where a node runs."""

    def __init__(self, number: int) -> None:
        self.address = f"{NETWORK}.{number}"
        self._holder = subprocess.Popen(["unshare", "--net", "sh", "-c", "echo; exec cat"], stdin=-1, stdout=-1)
        assert self._holder.stdout is not None
        self._holder.stdout.readline()  # the namespace is there
        link = f"port{number}"
        run("ip", "link", "add", link, "type", "veth", "peer", "name", "eth0", "netns", str(self._holder.pid))
        run("ip", "link", "set", link, "master", "middle", "up")
        for words in (
            ("link", "set", "lo", "up"),
            ("addr", "add", f"{self.address}/24", "dev", "eth0"),
            ("link", "set", "eth0", "up"),
        ):
            run(*self.inside("ip", *words))

    def inside(self, *words: str) -> Sequence[str]:
        """The command line that runs `words` there."""
        return ("nsenter", f"--net=/proc/{self._holder.pid}/ns/net", *words)

    def cut(self, others: Iterable[str], *, coming: bool = True, going: bool = True) -> None:
        """Let nothing through that comes from those addresses, or goes to them."""
        addresses = ", ".join(others)
        rules = [
            f"chain c{n} {{ type filter hook {hook} priority 0; ip {side} {{ {addresses} }} drop\n}}"
            for n, (hook, side, wanted) in enumerate((("input", "saddr", coming), ("output", "daddr", going)))
            if wanted
        ]
        run(*self.inside("nft", "-f", "-"), stdin="table inet fault {\n" + "\n".join(rules) + "\n}\n")

    def join(self) -> None:
        """Let everything through again."""
        run(*self.inside("nft", "flush", "ruleset"))

    def close(self) -> None:
        self._holder.kill()
        self._holder.communicate()
