"""The compute API: servers and what hangs on them, the catalogue around them, and the node agents' own calls.

Three tables, read top down: `SERVERS` here, `CATALOGUE` (flavors, keys, limits, hosts) in routes_catalogue.py, `AGENT`
(what node agents ask and report; never spoken by users) below. A noun has one file name on every shelf: api, schemas,
views, policies, models, and verbs (what can be done with it, each inside a transaction that the handler opens).
"""

from maldon.compute.routes_catalogue import CATALOGUE, CATALOGUE_RULES
from maldon.web.dialects import COMPUTE
from maldon.web.microversion import Versions
from maldon.web.policy import Rule
from maldon.web.service import Routes, Service

VERSIONS = Versions("compute", (2, 1), (2, 96), "X-OpenStack-Nova-API-Version")

SERVERS: Routes = {}

AGENT: Routes = {}

RULES: tuple[Rule, ...] = (*CATALOGUE_RULES,)

SERVICE = Service(
    name="compute",
    prefix="/compute",
    port=8774,
    routes={**SERVERS, **CATALOGUE, **AGENT},
    rules=RULES,
    dialect=COMPUTE,
    versions=VERSIONS,
)
