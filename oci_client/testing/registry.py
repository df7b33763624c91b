"""A registry for tests: the distribution protocol on real sockets, counted, and misbehaving when told to."""

import asyncio
import ssl
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from functools import partial
from threading import Thread
from typing import Final, Self
from urllib.parse import urlsplit

from oci_client.testing.auth import Auth, NoAuth
from oci_client.testing.behaviour import Behaviour
from oci_client.testing.content import BuiltManifest, Layer, an_image, an_index, put_into
from oci_client.testing.effects import answer_with
from oci_client.testing.endpoints import Endpoints
from oci_client.testing.faults import EVERYTHING, Effect, Faults, Match, Rule
from oci_client.testing.messages import Action, Handler, RegistryError, Reply, Request
from oci_client.testing.products import Product
from oci_client.testing.record import Recorded, RequestLog
from oci_client.testing.server import Server
from oci_client.testing.store import Store

LOOPBACK: Final = "127.0.0.1"


class FakeRegistry:
    """An OCI registry: `async with FakeRegistry() as registry: ...`, then `registry.url` and `registry.host`."""

    def __init__(
        self,
        *,
        auth: Auth | None = None,
        tls: ssl.SSLContext | None = None,
        behaviour: Behaviour | None = None,
        rules: Iterable[Rule] = (),
        port: int = 0,
        api: Handler | None = None,
    ) -> None:
        """`api` answers what is not of the distribution protocol, and asks for its own kind of authorization."""
        self.auth = auth or NoAuth()
        self.store = Store()
        self.log = RequestLog()
        self.latency_s = 0.0
        """How long each request waits before it is looked at."""
        self._faults = Faults(list(rules))
        self._api = api
        self._endpoints = Endpoints(self.store, behaviour or Behaviour(), self.auth)
        self._server = Server(self._answer, self.log, tls)
        self._port = port

    @classmethod
    def like(cls, product: Product, *, auth: Auth | None = None, tls: ssl.SSLContext | None = None) -> Self:
        """A registry that behaves like a product: `FakeRegistry.like(products.ecr())`."""
        return cls(auth=auth, tls=tls, behaviour=product.behaviour, rules=product.rules)

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def start(self) -> None:
        await self._server.start(LOOPBACK, self._port)

    async def stop(self) -> None:
        """Closes the ports at once, whatever is in flight, and drops everything stored."""
        await self._server.stop()
        self.store.close()

    @property
    def url(self) -> str:
        return self._server.url

    @property
    def host(self) -> str:
        """Host and port, as they stand in an image reference."""
        return urlsplit(self.url).netloc

    @property
    def storage_host(self) -> str:
        """Host and port that requests may be redirected to."""
        return urlsplit(self._server.storage_url).netloc

    @property
    def requests(self) -> list[Recorded]:
        return self.log.entries

    def push(self, repository: str, built: BuiltManifest, *tags: str) -> str:
        """Puts content in past the sockets, uncounted, and returns its digest."""
        return put_into(self.store.repository(repository), built, *tags)

    def push_image(self, repository: str, tag: str, layers: Sequence[Layer] = (1024,), *, seed: int = 0) -> str:
        return self.push(repository, an_image(layers, seed=seed), tag)

    def push_index(
        self, repository: str, tag: str, architectures: Sequence[str] = ("amd64", "arm64"), *, seed: int = 0
    ) -> str:
        """A multi-architecture image with an attestation child."""
        return self.push(repository, an_index(architectures, seed=seed, attestation=True), tag)

    def misbehave(self, effect: Effect, *, match: Match = EVERYTHING, times: int | None = None, skip: int = 0) -> Rule:
        """Lays an effect over the next `times` matching requests (None: over all), after `skip` of them."""
        rule = Rule(effect=effect, match=match, times=times, skip=skip)
        self._faults.add([rule])
        return rule

    def fail_next(
        self,
        status: int,
        *,
        count: int = 1,
        match: Match = EVERYTHING,
        code: str | None = None,
        retry_after: int | datetime | None = None,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
        html: bool = False,
    ) -> Rule:
        """Answers the next `count` matching requests with an error."""
        effect = answer_with(status, code=code, retry_after=retry_after, headers=headers, body=body, html=html)
        return self.misbehave(effect, match=match, times=count)

    def behave(self) -> None:
        """Drops every rule, those of the product too."""
        self._faults.clear()

    async def _answer(self, request: Request) -> Reply:
        if self.latency_s:
            await asyncio.sleep(self.latency_s)
        if self._api and request.action is Action.UNKNOWN:
            return await self._faults.answer(request, partial(_carried_out, self._api))
        try:
            self.auth.check(request)
        except RegistryError as error:
            return error.reply()
        return await self._faults.answer(request, partial(_carried_out, self._endpoints))


async def _carried_out(handler: Handler, request: Request) -> Reply:
    try:
        return await handler(request)
    except RegistryError as error:
        return error.reply()


@contextmanager
def serve_in_thread(registry: FakeRegistry) -> Iterator[FakeRegistry]:
    """Runs the registry on a loop of its own, for callers without one: command lines, blocking clients."""
    loop = asyncio.new_event_loop()
    thread = Thread(target=loop.run_forever, name="fake registry", daemon=True)
    thread.start()
    try:
        asyncio.run_coroutine_threadsafe(registry.start(), loop).result()
        yield registry
    finally:
        asyncio.run_coroutine_threadsafe(registry.stop(), loop).result()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()
