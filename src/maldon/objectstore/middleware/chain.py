"""The layers around the core, outermost first. Those named in the setting `without` are left out.

The order is part of what the store promises: nothing comes in before `gatekeeper`, rows become text above whatever
changes them, who asks is known before anything is done for them, and what spreads one object over many (slo, dlo) or
stands for another (symlink, versions) sits right above the core.
"""

from maldon.objectstore.middleware import cors, gatekeeper, healthcheck, listing_formats, name_check
from maldon.objectstore.middleware.layer import Handler, Layer
from maldon.objectstore.proxy import access
from maldon.objectstore.proxy.store import Store

LAYERS: tuple[Layer, ...] = (
    gatekeeper.LAYER,
    healthcheck.LAYER,
    name_check.LAYER,
    listing_formats.LAYER,
    access.LAYER,
    cors.LAYER,
)
ALWAYS = {"gatekeeper", "listing_formats", "cors"}


def layers_on(store: Store) -> list[Layer]:
    """Those that are not switched off."""
    return [layer for layer in LAYERS if layer.name in ALWAYS or layer.name not in store.settings.without]


def chain(store: Store, core: Handler) -> Handler:
    """The core with its layers around it."""
    handler = core
    for layer in reversed(layers_on(store)):
        handler = layer.make(store, handler)
    return handler
