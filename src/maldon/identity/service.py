"""The room's door.

A process with this API, or with any API that takes tokens, makes

    settings = IdentitySettings()
    keys = token_keys(home, settings)
    verifier = TokenVerifier(db, keys, clock, settings, keyvalue)
    passwords = Passwords(settings)
    secrets = CredentialKeys(home / "credential-keys")
    directories = Directories(drivers by name, key-value store, secrets, home / "domains")

gives `verifier` to its services as their verifier, and puts `settings`, `verifier`, `passwords`, `secrets` and
`directories` into the kit of the Ops of this room: handlers take them by `op.use(IdentitySettings)` and the like. A
process that only checks tokens needs the verifier alone. `bootstrap(op, Bootstrap(...))` is called at every start,
after the migrations.
"""

from maldon.identity.audit import audit, forget_departed, repair
from maldon.identity.bootstrap import NODE, Bootstrap, bootstrap, project_id
from maldon.identity.credential_keys import CredentialKeys, rotate_credential_keys
from maldon.identity.directories import BadFile, Directories
from maldon.identity.keys import TokenKeys, token_keys
from maldon.identity.passwords import Passwords
from maldon.identity.settings import OWN_CATALOG, IdentitySettings
from maldon.identity.verbs.directory import look_everywhere
from maldon.identity.verbs.import_people import Imported, import_people
from maldon.identity.verifier import TokenVerifier

__all__ = [
    "NODE",
    "OWN_CATALOG",
    "BadFile",
    "Bootstrap",
    "CredentialKeys",
    "Directories",
    "IdentitySettings",
    "Imported",
    "Passwords",
    "TokenKeys",
    "TokenVerifier",
    "audit",
    "bootstrap",
    "forget_departed",
    "import_people",
    "look_everywhere",
    "project_id",
    "repair",
    "rotate_credential_keys",
    "token_keys",
]
