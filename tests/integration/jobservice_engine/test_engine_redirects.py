"""On the way of blobs too, no public registry sends a worker into its own network."""

import asyncio
import json
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

import pytest
import trustme

from jobservice.transfer import Outcome, Side, TransferOptions
from oci_client import media_types
from oci_client.http import TlsOptions
from oci_client.testing import Action, BuiltManifest, FakeRegistry, Match, PretendedNetwork, an_image, effects
from oci_client.testing.faults import Effect
from oci_client.testing.messages import Handler, Reply, Request
from tests.engine_kit import Worker, content, failure

# Where the registries of these tests listen, and where nobody may be sent by a public one.
OUTSIDE = "127.0.0.1"
INSIDE = "127.0.0.2"
NAMES = {
    "store.test": [[OUTSIDE]],
    "inside.test": [[INSIDE]],
    "both.test": [[OUTSIDE, INSIDE]],
    "rebound.test": [[OUTSIDE], [INSIDE]],
}
READ = Match(method="GET", action=Action.BLOB)


class Inside:
    """A host that must not be talked to; counts who does."""

    def __init__(self) -> None:
        self.port = 0
        self.connections = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        writer.close()


@pytest.fixture
async def inside() -> AsyncIterator[Inside]:
    host = Inside()
    server = await asyncio.start_server(host.serve, INSIDE, 0)
    host.port = server.sockets[0].getsockname()[1]
    yield host
    server.close()


@pytest.fixture
def image(source: FakeRegistry) -> None:
    source.push_image("library/app", "1", [300_000])


@asynccontextmanager
async def a_worker(source: FakeRegistry, destination: FakeRegistry, *, public: str = OUTSIDE) -> AsyncIterator[Worker]:
    network = PretendedNetwork(public=[public], names=NAMES)
    async with Worker(source, destination, network=network) as worker:
        yield worker


def sent_to(target: str) -> Effect:
    return effects.answer_with(307, headers={"Location": target})


def renamed(name: str) -> Effect:
    """Redirects as the registry does, to its storage by a name."""

    async def effect(request: Request, handler: Handler) -> Reply:
        reply = await effects.redirect()(request, handler)
        target = urlsplit(reply.header("Location") or "")
        return reply.with_header("Location", target._replace(netloc=f"{name}:{target.port}").geturl())

    return effect


@pytest.mark.usefixtures("image")
@pytest.mark.parametrize("host", [INSIDE, "127.2", "[::1]", "[::ffff:127.0.0.2]", "inside.test", "both.test"])
async def test_no_download_leads_into_the_network(
    source: FakeRegistry, destination: FakeRegistry, inside: Inside, host: str
) -> None:
    source.misbehave(sent_to(f"http://{host}:{inside.port}/latest"), match=READ)
    async with a_worker(source, destination) as worker:
        found = failure(await worker.copy("1"))

    assert (found.reason, found.side, found.retryable) == ("UNEXPECTED_ANSWER", Side.SOURCE, False)
    assert "private network" in found.message
    assert inside.connections == 0


@pytest.mark.usefixtures("image")
async def test_a_name_is_resolved_once_for_the_look_and_the_connection(
    source: FakeRegistry, destination: FakeRegistry, inside: Inside
) -> None:
    source.misbehave(sent_to(f"http://rebound.test:{inside.port}/latest"), match=READ)
    async with a_worker(source, destination) as worker:
        await worker.copy("1")

    assert inside.connections == 0


@pytest.mark.usefixtures("image")
async def test_no_chain_of_redirects_leads_there(
    source: FakeRegistry, destination: FakeRegistry, inside: Inside
) -> None:
    source.misbehave(renamed("store.test"), match=READ)
    source.misbehave(sent_to(f"http://{INSIDE}:{inside.port}/latest"), match=Match(action=Action.STORAGE))
    async with a_worker(source, destination) as worker:
        assert "private network" in failure(await worker.copy("1")).message

    assert source.log.count(action=Action.STORAGE) > 0
    assert inside.connections == 0


@pytest.mark.usefixtures("image")
async def test_no_upload_leads_there(source: FakeRegistry, destination: FakeRegistry, inside: Inside) -> None:
    target = f"http://{INSIDE}:{inside.port}/upload"
    destination.misbehave(effects.with_header("Location", target), match=Match(action=Action.UPLOAD_START))
    async with a_worker(source, destination) as worker:
        found = failure(await worker.copy("1"))

    assert (found.reason, found.side) == ("UNEXPECTED_ANSWER", Side.DESTINATION)
    assert inside.connections == 0


@pytest.mark.usefixtures("image")
async def test_no_redirected_upload_leads_there(
    source: FakeRegistry, destination: FakeRegistry, inside: Inside
) -> None:
    destination.misbehave(sent_to(f"http://{INSIDE}:{inside.port}/upload"), match=Match(method="PUT"))
    async with a_worker(source, destination) as worker:
        found = failure(await worker.copy("1"))

    assert (found.reason, found.side) == ("UNEXPECTED_ANSWER", Side.DESTINATION)
    assert inside.connections == 0


@pytest.mark.usefixtures("image")
@pytest.mark.parametrize("public", [OUTSIDE, "8.8.8.8"], ids=["public", "private"])
async def test_a_store_of_the_same_kind_is_followed_to(
    source: FakeRegistry, destination: FakeRegistry, public: str
) -> None:
    """A public registry has a public one, and a private registry may have it beside it."""
    name = "store.test" if public == OUTSIDE else OUTSIDE
    source.misbehave(renamed(name), match=READ)
    async with a_worker(source, destination, public=public) as worker:
        [result] = await worker.copy("1")

    assert result.outcome is Outcome.COPIED, result.failure
    assert content(destination, "library/app") == content(source, "library/app")
    assert source.log.count(action=Action.STORAGE) == 2


@pytest.mark.parametrize("names", [(OUTSIDE, "store.test"), (OUTSIDE,)], ids=["right name", "wrong name"])
async def test_a_public_store_proves_its_name(destination: FakeRegistry, names: tuple[str, ...]) -> None:
    authority = trustme.CA()
    server_tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(*names).configure_cert(server_tls)
    tls = TlsOptions(ca_certificate=authority.cert_pem.bytes().decode())
    network = PretendedNetwork(public=[OUTSIDE], names=NAMES)
    async with (
        FakeRegistry(tls=server_tls) as source,
        Worker(source, destination, source_tls=tls, network=network) as worker,
    ):
        source.push_image("library/app", "1", [300_000])
        source.misbehave(renamed("store.test"), match=READ)
        [result] = await worker.copy("1")

    assert (result.outcome is Outcome.COPIED) is ("store.test" in names)
    assert result.failure is None or result.failure.reason == "REGISTRY_UNREACHABLE"


async def test_no_foreign_layer_leads_there(source: FakeRegistry, destination: FakeRegistry, inside: Inside) -> None:
    """Whoever writes a manifest says where these are."""
    image = an_image([b"layer"])
    document = json.loads(image.manifest)
    document["layers"][0] |= {
        "mediaType": "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip",
        "urls": [f"http://{INSIDE}:{inside.port}/layer"],
    }
    source.push(
        "library/app",
        BuiltManifest(media_type=media_types.OCI_MANIFEST, manifest=json.dumps(document).encode(), blobs=image.blobs),
        "1",
    )
    async with a_worker(source, destination) as worker:
        found = failure(await worker.job(options=TransferOptions(foreign_layers=True)).copy("1"))

    assert "private network" in found.message
    assert inside.connections == 0
