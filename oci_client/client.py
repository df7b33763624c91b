"""A registry, as the distribution specification sees it."""

from oci_client.auth import AnonymousAuthorizer, Authorizer
from oci_client.blobs import Blobs
from oci_client.exchange import Exchange, refused
from oci_client.gate import Action, Gate
from oci_client.http import HttpClient
from oci_client.listing import Listing
from oci_client.manifests import Manifests
from oci_client.uploads import Uploads


class RegistryClient(Manifests, Blobs, Uploads, Listing):
    """Speaks to one registry; every method names the repository that it is about.

    Nothing is retried, save that a refused token is replaced once: when to try again is for the caller to decide.
    `http` is borrowed and stays open. Any method may raise the errors of `oci_client.errors`.
    """

    def __init__(
        self,
        base_url: str,
        *,
        http: HttpClient,
        authorizer: Authorizer | None = None,
        gate: Gate | None = None,
    ) -> None:
        super().__init__(Exchange(base_url, http=http, authorizer=authorizer or AnonymousAuthorizer(), gate=gate))

    async def ping(self) -> None:
        """Return if the registry speaks the protocol and takes the credential."""
        answer = await self._exchange.request(Action.PING, "GET", self._exchange.url(""))
        if answer.status != 200:
            raise refused("GET", answer)
