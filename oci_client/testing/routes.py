"""Which endpoint a path belongs to."""

import re
from typing import Final

from oci_client.testing.messages import Action

STORAGE_PREFIX: Final = "/storage"
_NAME: Final = r"/v2/(?P<repository>.+)"
_ROUTES: Final = tuple(
    (action, re.compile(pattern))
    for action, pattern in (
        (Action.STORAGE, rf"{STORAGE_PREFIX}(?P<reference>/v2/.+)"),
        (Action.PING, r"/v2/?"),
        (Action.TOKEN, r"/token"),
        (Action.CATALOG, r"/v2/_catalog"),
        (Action.TAGS, rf"{_NAME}/tags/list"),
        (Action.REFERRERS, rf"{_NAME}/referrers/(?P<reference>[^/]+)"),
        (Action.MANIFEST, rf"{_NAME}/manifests/(?P<reference>[^/]+)"),
        (Action.UPLOAD_START, rf"{_NAME}/blobs/uploads/?"),
        (Action.UPLOAD, rf"{_NAME}/blobs/uploads/(?P<reference>[^/]+)"),
        (Action.BLOB, rf"{_NAME}/blobs/(?P<reference>[^/]+)"),
    )
)


def route(path: str) -> tuple[Action, str, str]:
    """Action, repository and reference of a path."""
    for action, pattern in _ROUTES:
        if found := pattern.fullmatch(path):
            named = found.groupdict()
            return action, named.get("repository", ""), named.get("reference", "")
    return Action.UNKNOWN, "", ""
