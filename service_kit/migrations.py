"""Plain SQL migrations: `<package>/migrations/NNNN_name.sql`, each applied once, in order, in its own transaction."""

import hashlib
import re
from dataclasses import dataclass
from importlib import resources
from typing import Any, Final

import psycopg
import structlog
from psycopg import sql

from service_kit.database import session_conninfo

LOCK_WAIT_MS: Final = 60_000  # how long a second run waits for the first
LOCK_TIMEOUT_MS: Final = 5_000  # a migration that waits for a table lock blocks every query behind it
STATEMENT_TIMEOUT_MS: Final = 600_000  # rewriting a large table takes minutes

_FILE_NAME: Final = re.compile(r"(\d{4})_([a-z0-9_]+)\.sql")

_CREATE_TABLE: Final = """
CREATE TABLE IF NOT EXISTS schema_migrations (
    version    integer PRIMARY KEY,
    name       text NOT NULL,
    checksum   text NOT NULL,
    applied_at timestamptz NOT NULL DEFAULT now()
)
"""
_RECORD: Final = "INSERT INTO schema_migrations (version, name, checksum) VALUES (%s, %s, %s)"

log: structlog.stdlib.BoundLogger = structlog.get_logger()


class MigrationError(Exception):
    """The migrations of the package do not fit what the database has."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Migration:
    version: int
    name: str
    text: bytes

    @property
    def checksum(self) -> str:
        return hashlib.sha256(self.text).hexdigest()


def schema_of(package: str) -> str:
    """The schema that a service owns: `registry` for the package `registry_svc`, `job` for `jobservice`."""
    return package.removesuffix("_svc").removesuffix("service")


async def migrate(conninfo: str, *, schema: str, package: str) -> list[str]:
    """Applies what is missing and returns its names; two runs at once wait for each other.

    Raises:
        MigrationError: an applied migration was changed or is not known, or the files are not numbered one by one.
    """
    migrations = load_migrations(package)
    async with await psycopg.AsyncConnection.connect(
        session_conninfo(conninfo, schema=schema), autocommit=True
    ) as connection:
        await _lock(connection, schema)
        await connection.execute(sql.SQL("CREATE SCHEMA IF NOT EXISTS {}").format(sql.Identifier(schema)))
        await connection.execute(_CREATE_TABLE)
        pending = _pending(migrations, await _applied(connection))
        for migration in pending:
            await _apply(connection, migration)
            log.info("migration applied", schema=schema, migration=migration.name)
    return [migration.name for migration in pending]


def load_migrations(package: str) -> list[Migration]:
    """The migrations of a package, by number.

    Raises:
        MigrationError: two files share a number, or one between them is missing.
    """
    found = [
        Migration(version=int(match[1]), name=file.name, text=file.read_bytes())
        for file in resources.files(package).joinpath("migrations").iterdir()
        if (match := _FILE_NAME.fullmatch(file.name))
    ]
    found.sort(key=lambda migration: migration.version)
    if [migration.version for migration in found] != list(range(1, len(found) + 1)):
        raise MigrationError(f"the migrations of {package} are not numbered 0001, 0002, ... without a gap")
    return found


def _pending(migrations: list[Migration], applied: dict[int, tuple[str, str]]) -> list[Migration]:
    known = {migration.version: migration for migration in migrations}
    for version, (name, checksum) in applied.items():
        if version not in known:
            raise MigrationError(f"the database has {name}, which this version does not know: it is newer")
        if known[version].checksum != checksum:
            raise MigrationError(f"{name} was changed after it had been applied: add a new migration instead")
    return [migration for migration in migrations if migration.version not in applied]


async def _lock(connection: psycopg.AsyncConnection[Any], schema: str) -> None:
    """Held until the connection closes."""
    await _set(connection, "statement_timeout", LOCK_WAIT_MS)
    key = int.from_bytes(hashlib.sha256(f"migrate {schema}".encode()).digest()[:8], signed=True)
    await connection.execute("SELECT pg_advisory_lock(%s)", (key,))
    await _set(connection, "statement_timeout", STATEMENT_TIMEOUT_MS)
    await _set(connection, "lock_timeout", LOCK_TIMEOUT_MS)


async def _applied(connection: psycopg.AsyncConnection[Any]) -> dict[int, tuple[str, str]]:
    cursor = await connection.execute("SELECT version, name, checksum FROM schema_migrations ORDER BY version")
    return {version: (name, checksum) for version, name, checksum in await cursor.fetchall()}


async def _apply(connection: psycopg.AsyncConnection[Any], migration: Migration) -> None:
    async with connection.transaction():
        await connection.execute(migration.text)
        await connection.execute(_RECORD, (migration.version, migration.name, migration.checksum))


async def _set(connection: psycopg.AsyncConnection[Any], name: str, milliseconds: int) -> None:
    await connection.execute("SELECT set_config(%s, %s, false)", (name, str(milliseconds)))
