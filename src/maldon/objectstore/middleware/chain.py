"""The layers around the core, outermost first. Those named in the setting `without` are left out.

The order is part of what the store promises: nothing comes in before `gatekeeper`, rows become text above whatever
changes them, who asks is known before anything is done for them, and what spreads one object over many (slo, dlo) or
stands for another (symlink, versions) sits right above the core.
"""

from maldon.objectstore.middleware import (
    bulk_delete,
    bulk_upload,
    cname_lookup,
    container_sync,
    copy,
    cors,
    crossdomain,
    dlo,
    domain_remap,
    encryption,
    etag_quoter,
    formpost,
    gatekeeper,
    healthcheck,
    list_endpoints,
    listing_formats,
    name_check,
    object_versioning,
    quotas,
    ratelimit,
    read_only,
    recon,
    slo,
    staticweb,
    symlink,
    tempauth,
    tempurl,
    versioned_writes,
)
from maldon.objectstore.middleware.layer import Handler, Layer
from maldon.objectstore.middleware.passing import around
from maldon.objectstore.proxy import access
from maldon.objectstore.proxy.store import Store

LAYERS: tuple[Layer, ...] = (
    gatekeeper.LAYER,
    healthcheck.LAYER,
    recon.LAYER,
    crossdomain.LAYER,
    cname_lookup.LAYER,
    domain_remap.LAYER,
    name_check.LAYER,
    etag_quoter.LAYER,
    listing_formats.LAYER,
    list_endpoints.LAYER,
    container_sync.LAYER,
    tempurl.LAYER,
    formpost.LAYER,
    tempauth.LAYER,
    access.LAYER,
    cors.LAYER,
    staticweb.LAYER,
    ratelimit.LAYER,
    bulk_delete.LAYER,
    bulk_upload.LAYER,
    copy.LAYER,
    read_only.LAYER,
    quotas.ACCOUNT,
    quotas.CONTAINER,
    slo.LAYER,
    dlo.LAYER,
    versioned_writes.LAYER,
    object_versioning.LAYER,
    symlink.LAYER,
    encryption.LAYER,
)
ALWAYS = {"gatekeeper", "listing_formats", "cors"}


def layers_on(store: Store) -> list[Layer]:
    """Those that are not switched off."""
    return [layer for layer in LAYERS if layer.name in ALWAYS or layer.name not in store.settings.without]


def chain(store: Store, core: Handler) -> Handler:
    """The core with its layers around it."""
    return around(store, core, layers_on(store))
