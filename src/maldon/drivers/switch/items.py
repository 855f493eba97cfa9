"""Which items need which: known to every switch driver."""

from maldon.ports.switch import Item, PortSpec, RouterSpec


def networks_of(item: Item) -> set[str]:
    """The networks that must be on the node before this item."""
    match item:
        case PortSpec():
            return {item.network_id}
        case RouterSpec():
            return {leg.network_id for leg in (*item.interfaces, item.gateway) if leg is not None}
        case _:
            return set()
