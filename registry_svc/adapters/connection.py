"""How the endpoint of a registry becomes a connection and a credential of oci_client."""

from typing import Final

from oci_client.auth import Credential
from oci_client.http import HttpClient, TlsOptions
from registry_svc.adapters.border import registry_errors
from registry_svc.domain.registry import Endpoint

CONNECT_TIMEOUT_S: Final = 10.0
READ_TIMEOUT_S: Final = 30.0  # lists and pings; a registry that needs longer for a page does not answer


def open_http(endpoint: Endpoint) -> HttpClient:
    """A client that the caller closes; a public registry's token service and next pages cannot lead into our network.

    Raises RegistryUnreachable when the certificates cannot be used.
    """
    tls = TlsOptions(insecure=endpoint.insecure, ca_certificate=endpoint.ca_certificate or None)
    with registry_errors(endpoint):
        return HttpClient(tls, home=endpoint.url, connect_timeout_s=CONNECT_TIMEOUT_S, read_timeout_s=READ_TIMEOUT_S)


def credential_of(endpoint: Endpoint) -> Credential | None:
    if endpoint.credential is None:
        return None
    return Credential(username=endpoint.credential.username, password=endpoint.credential.password.reveal())
