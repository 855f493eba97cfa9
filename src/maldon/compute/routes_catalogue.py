"""The catalogue half of the compute API: flavors, keypairs, limits, quotas, availability zones, services, hypervisors."""

from maldon.web.policy import Rule
from maldon.web.service import Routes

CATALOGUE: Routes = {}

CATALOGUE_RULES: tuple[Rule, ...] = ()
