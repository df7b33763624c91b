"""A registry behind a certificate of a private authority."""

import ssl
from collections.abc import AsyncIterator

import pytest
import trustme

from oci_client.testing import FakeRegistry
from tests.integration.registry_svc.registry_service import Services, refusal, registry_services
from tests.postgres import Database

AUTHORITY = trustme.CA()


@pytest.fixture
async def services(database: Database) -> AsyncIterator[Services]:
    async with registry_services(await database("registry_svc")) as services:
        yield services


@pytest.fixture
async def hub() -> AsyncIterator[FakeRegistry]:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    AUTHORITY.issue_cert("127.0.0.1").configure_cert(context)
    async with FakeRegistry(tls=context) as registry:
        yield registry


async def test_its_certificate_is_trusted_when_it_is_given(services: Services, hub: FakeRegistry) -> None:
    pem = AUTHORITY.cert_pem.bytes().decode()

    assert (await services.create(hub.url, ca_certificate=pem)).ca_certificate == pem


async def test_an_unknown_certificate_goes_only_when_told_so(services: Services, hub: FakeRegistry) -> None:
    error = await refusal(services.create(hub.url))
    created = await services.create(hub.url, insecure=True)

    assert error.reason == "REGISTRY_UNREACHABLE"
    assert "certificate" in error.metadata["cause"].lower()
    assert created.insecure
