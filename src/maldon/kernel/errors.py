"""The one tree of errors. A service raises by meaning; only `web` knows how an API says it.

`public` is a sentence the asker can act on and is sent; `internal` is logged and never sent. `code` is stable and goes
out in the header X-Maldon-Error. `kind` is the exception name that the network API shows as "type". `headers` are what
an answer by HTTP says besides, such as the media types that would have been accepted.
"""


class CloudError(Exception):
    """Something was refused, or our fault. `status` is the HTTP habit; a dialect may say it otherwise."""

    status, code, kind = 500, "internal", "InternalError"

    headers: tuple[tuple[str, str], ...] = ()

    def __init__(self, public: str, *, internal: str = "", kind: str = "", code: str = "") -> None:
        super().__init__(public)
        self.public = public
        self.internal = internal
        if kind:
            self.kind = kind
        if code:
            self.code = code


class BadRequest(CloudError):
    status, code, kind = 400, "bad-request", "BadRequest"


class Unauthorized(CloudError):
    status, code, kind = 401, "unauthorized", "NotAuthenticated"


class Forbidden(CloudError):
    status, code, kind = 403, "forbidden", "PolicyNotAuthorized"


class NotFound(CloudError):
    status, code, kind = 404, "not-found", "NotFound"


class MethodNotAllowed(CloudError):
    status, code, kind = 405, "method-not-allowed", "MethodNotAllowed"


class NotAcceptable(CloudError):
    status, code, kind = 406, "not-acceptable", "NotAcceptable"


class Conflict(CloudError):
    status, code, kind = 409, "conflict", "Conflict"


class Duplicate(Conflict):
    """A row that may exist once exists already."""

    code, kind = "duplicate", "Conflict"


class Stale(Conflict):
    """Somebody else changed it between our look and our write: a repeat of the whole use case may win."""

    code, kind = "stale", "Conflict"


class InUse(Conflict):
    code, kind = "in-use", "InUse"


class QuotaExceeded(CloudError):
    """Over a quota. `Conflict` for networks, `Forbidden` for servers, `TooLarge` for images: the dialect decides."""

    status, code, kind = 403, "quota-exceeded", "OverQuota"


class Gone(CloudError):
    status, code, kind = 410, "gone", "Gone"


class PreconditionFailed(CloudError):
    status, code, kind = 412, "precondition-failed", "RevisionNumberConstraintFailed"


class TooLarge(CloudError):
    status, code, kind = 413, "too-large", "RequestTooLarge"


class UnsupportedMedia(CloudError):
    status, code, kind = 415, "unsupported-media-type", "UnsupportedMediaType"


class NotOffered(CloudError):
    """The API knows the call, this cloud does not offer it."""

    status, code, kind = 501, "not-offered", "NotImplementedError"


class Unavailable(CloudError):
    status, code, kind = 503, "unavailable", "ServiceUnavailable"
