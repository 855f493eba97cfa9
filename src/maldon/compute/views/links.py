"""Links: where a thing is within this version of the API, and where without."""


def links(base: str, kind: str, thing_id: str) -> list[dict[str, str]]:
    """The self and bookmark links of a thing; `base` is Request.base."""
    return [
        {"rel": "self", "href": f"{base}/v2.1/{kind}/{thing_id}"},
        {"rel": "bookmark", "href": f"{base}/{kind}/{thing_id}"},
    ]


def bookmark(base: str, kind: str, thing_id: str) -> list[dict[str, str]]:
    """The bookmark alone, as within other things."""
    return [{"rel": "bookmark", "href": f"{base}/{kind}/{thing_id}"}]
