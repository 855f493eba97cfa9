"""What a port may add to its DHCP answers. Pure.

Options are known by name or number. A value is text of one line as DHCP servers read it: printable, without quotes and
backslashes, several values behind commas.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Any

from maldon.kernel.errors import BadRequest

_BOTH = "posix-timezone tzdb-timezone domain-search ntp-server dns-server nis-server nis-domain"
_V4 = """
all-subnets-local arp-timeout bootfile-name boot-file-size classless-static-route client-arch client-interface-id
client-machine-id default-ttl domain-name ethernet-encap extension-path ip-forward-enable ipv6-only irc-server
log-server lpr-server max-datagram-reassembly mobile-ip-home mtu netbios-dd netbios-nodetype netbios-ns netbios-scope
netmask nis+-domain nis+-server nntp-server non-local-source-routing policy-filter pop3-server root-path
router router-discovery router-solicitation server-ip-address sip-server smtp-server static-route swap-server
tcp-keepalive tcp-ttl tftp-server tftp-server-address time-offset trailer-encapsulation user-class vendor-class
vendor-id-encap x-windows-dm x-windows-fs
"""
_V6 = """
bootfile-param bootfile-url information-refresh-time nis+-domain nis+-server sip-server sip-server-domain sntp-server
"""
_NAMES = {4: frozenset([*_BOTH.split(), *_V4.split()]), 6: frozenset([*_BOTH.split(), *_V6.split()])}
_LAST_NUMBER = {4: 254, 6: 65535}
_WORD = r"[!#-\[\]-~]"  # no quote, no backslash
_VALUE = re.compile(rf"{_WORD}+(?: +(?!#){_WORD}+)*")


def options_of(given: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Extra DHCP options: the last word on each name counts, no value takes it away. Raises BadRequest."""
    found = {(o["opt_name"], o["ip_version"]): o.get("opt_value") for o in given}
    for (name, version), value in found.items():
        _check(name, version, value)
    return [{"opt_name": n, "opt_value": v, "ip_version": i} for (n, i), v in found.items() if v is not None]


def _check(name: str, version: int, value: str | None) -> None:
    if version not in _NAMES:
        raise BadRequest(f"'{version}' is no IP version of a DHCP option.", kind="InvalidInput")
    numbered = name.isascii() and name.isdigit() and 1 <= int(name) <= _LAST_NUMBER[version]
    if not numbered and name not in _NAMES[version]:
        raise BadRequest(f"'{name}' is not a DHCPv{version} option that this cloud knows.", kind="InvalidInput")
    if value is not None and not _VALUE.fullmatch(value):
        raise BadRequest(f"The value of the DHCP option '{name}' is not printable text.", kind="InvalidInput")
