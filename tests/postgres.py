"""A real PostgreSQL for tests: one server a session, and for each test fresh databases cloned from a migrated one."""

import hashlib
import uuid
from collections.abc import AsyncIterator, Iterator
from typing import Protocol

import psycopg
import pytest
from psycopg import sql

from service_kit.migrations import migrate, schema_of
from transship.local.postgres import EmbeddedPostgres


class Database(Protocol):
    """What the fixture `database` gives: `await database("registry_svc")` is the URL of a fresh, migrated database."""

    async def __call__(self, *packages: str) -> str: ...


class Databases:
    """Migrates once for each set of packages, then only copies."""

    def __init__(self, server: EmbeddedPostgres) -> None:
        self._server = server
        self._templates: set[str] = set()

    async def create(self, *packages: str) -> str:
        """The name of a new database with the schemas of the packages."""
        template = await self._template(packages)
        name = f"test_{uuid.uuid4().hex}"
        self._execute("CREATE DATABASE {} TEMPLATE {}", name, template)
        return name

    def drop(self, name: str) -> None:
        self._execute("DROP DATABASE {} WITH (FORCE)", name)

    async def _template(self, packages: tuple[str, ...]) -> str:
        template = "template_" + hashlib.sha256(repr(packages).encode()).hexdigest()[:16]
        if template not in self._templates:
            self._execute("DROP DATABASE IF EXISTS {}", template)  # left by a migration that failed half-way
            self._execute("CREATE DATABASE {}", template)
            for package in packages:
                await migrate(self._server.url(template), schema=schema_of(package), package=package)
            self._templates.add(template)
        return template

    def _execute(self, statement: str, *names: str) -> None:
        with psycopg.connect(self._server.url("postgres"), autocommit=True) as connection:
            connection.execute(sql.SQL(statement).format(*map(sql.Identifier, names)))


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedPostgres]:
    directory = tmp_path_factory.mktemp("postgres")
    with EmbeddedPostgres(directory / "data", directory / "run", durable=False) as server:
        yield server


@pytest.fixture(scope="session")
def databases(postgres: EmbeddedPostgres) -> Databases:
    return Databases(postgres)


@pytest.fixture
async def database(postgres: EmbeddedPostgres, databases: Databases) -> AsyncIterator[Database]:
    """Gives databases of its own to the test and drops them after it, with whatever is still connected."""
    names: list[str] = []

    async def create(*packages: str) -> str:
        names.append(await databases.create(*packages))
        return postgres.url(names[-1])

    yield create
    for name in names:
        databases.drop(name)
