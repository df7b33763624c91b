"""The table of endpoints: which handler answers which action and method."""

import re
from collections.abc import Mapping
from dataclasses import replace

from oci_client.testing.auth import Auth
from oci_client.testing.behaviour import Behaviour
from oci_client.testing.blobs import BlobEndpoints
from oci_client.testing.listing import ListEndpoints
from oci_client.testing.manifests import ManifestEndpoints
from oci_client.testing.messages import Action, Handler, RegistryError, Reply, Request
from oci_client.testing.routes import STORAGE_PREFIX, route
from oci_client.testing.store import Store
from oci_client.testing.uploads import UploadEndpoints

_COMPONENT = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_NAME = re.compile(rf"{_COMPONENT}(?:/{_COMPONENT})*")


class Endpoints:
    """Answers any request, as a registry without faults."""

    def __init__(self, store: Store, behaviour: Behaviour, auth: Auth) -> None:
        lists, manifests = ListEndpoints(store, behaviour), ManifestEndpoints(store, behaviour)
        blobs, uploads = BlobEndpoints(store), UploadEndpoints(store, behaviour)
        self._table: Mapping[Action, Mapping[str, Handler]] = {
            Action.PING: {"GET": _ping},
            Action.TOKEN: {"GET": auth.issue, "POST": auth.issue},
            Action.CATALOG: {"GET": lists.catalog},
            Action.TAGS: {"GET": lists.tags},
            Action.REFERRERS: {"GET": lists.referrers},
            Action.MANIFEST: {"GET": manifests.get, "PUT": manifests.put, "DELETE": manifests.delete},
            Action.BLOB: {"GET": blobs.get, "DELETE": blobs.delete},
            Action.UPLOAD_START: {"POST": uploads.start},
            Action.UPLOAD: {
                "GET": uploads.status,
                "PATCH": uploads.patch,
                "PUT": uploads.finish,
                "DELETE": uploads.cancel,
            },
        }

    async def __call__(self, request: Request) -> Reply:
        if request.action is Action.STORAGE:
            return await self._from_storage(request)
        if request.repository and not _NAME.fullmatch(request.repository):
            raise RegistryError(400, "NAME_INVALID", "invalid repository name", detail=request.repository)
        handlers = self._table.get(request.action)
        if handlers is None:
            raise RegistryError(404, "NOT_FOUND", request.path)
        handler = handlers.get("GET" if request.method == "HEAD" else request.method)
        if handler is None:
            raise RegistryError(405, "UNSUPPORTED", f"no {request.method} here")
        return await handler(request)

    async def _from_storage(self, request: Request) -> Reply:
        """Object stores refuse a signed address that comes with an Authorization header, and so do we."""
        if request.header("Authorization") is not None:
            raise RegistryError(400, "DENIED", "only one authentication mechanism is allowed")
        action, repository, reference = route(request.reference)
        inner = replace(request, path=request.reference, action=action, repository=repository, reference=reference)
        reply = await self(inner)
        location = reply.header("Location")
        # A relative Location stays on the storage host.
        return reply.with_header("Location", STORAGE_PREFIX + location) if location else reply


async def _ping(request: Request) -> Reply:  # noqa: ARG001 - a Handler
    return Reply.json(200, {}).with_header("Docker-Distribution-Api-Version", "registry/2.0")
