"""Migrations against a real server."""

import asyncio
from pathlib import Path

import psycopg
import pytest

from service_kit.migrations import MigrationError, migrate
from tests.postgres import Database

FIRST = "CREATE TABLE things (id integer PRIMARY KEY); COMMENT ON TABLE things IS '100 % ours';"
SECOND = "ALTER TABLE things ADD COLUMN name text;"


class Package:
    """An importable package with migrations that a test may rewrite."""

    def __init__(self, root: Path, name: str) -> None:
        self.name = name
        self._folder = root / name / "migrations"
        self._folder.mkdir(parents=True)
        (root / name / "__init__.py").touch()

    def write(self, **files: str) -> None:
        for name, text in files.items():
            (self._folder / f"{name[1:]}.sql").write_text(text)


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Package:
    monkeypatch.syspath_prepend(str(tmp_path))
    return Package(tmp_path, f"migrated_{tmp_path.name.replace('-', '_')}")


async def columns(url: str) -> list[str]:
    async with await psycopg.AsyncConnection.connect(url) as connection:
        cursor = await connection.execute(
            "SELECT column_name::text FROM information_schema.columns WHERE table_schema = 'kit' AND table_name = 'things'"
        )
        return sorted(name for (name,) in await cursor.fetchall())


async def test_what_is_missing_is_applied_in_order_and_once(database: Database, package: Package) -> None:
    url = await database()
    package.write(_0001_create_things=FIRST)
    assert await migrate(url, schema="kit", package=package.name) == ["0001_create_things.sql"]
    package.write(_0002_add_name=SECOND)
    assert await migrate(url, schema="kit", package=package.name) == ["0002_add_name.sql"]
    assert await migrate(url, schema="kit", package=package.name) == []
    assert await columns(url) == ["id", "name"]


async def test_two_runs_at_once_apply_each_migration_once(database: Database, package: Package) -> None:
    url = await database()
    package.write(_0001_create_things=FIRST, _0002_add_name=SECOND)
    first, second = await asyncio.gather(*(migrate(url, schema="kit", package=package.name) for _ in range(2)))
    assert sorted(first + second) == ["0001_create_things.sql", "0002_add_name.sql"]


async def test_a_changed_migration_is_refused(database: Database, package: Package) -> None:
    url = await database()
    package.write(_0001_create_things=FIRST)
    await migrate(url, schema="kit", package=package.name)
    package.write(_0001_create_things=FIRST + "SELECT 1;")
    with pytest.raises(MigrationError, match=r"0001_create_things\.sql was changed"):
        await migrate(url, schema="kit", package=package.name)


async def test_a_database_newer_than_the_code_is_refused(database: Database, package: Package, tmp_path: Path) -> None:
    url = await database()
    package.write(_0001_create_things=FIRST, _0002_add_name=SECOND)
    await migrate(url, schema="kit", package=package.name)
    (tmp_path / package.name / "migrations" / "0002_add_name.sql").unlink()
    with pytest.raises(MigrationError, match="newer"):
        await migrate(url, schema="kit", package=package.name)


async def test_a_migration_that_fails_leaves_nothing_of_itself(database: Database, package: Package) -> None:
    url = await database()
    package.write(_0001_create_things=FIRST, _0002_add_name=SECOND + "SELECT no_such_column;")
    with pytest.raises(psycopg.errors.UndefinedColumn):
        await migrate(url, schema="kit", package=package.name)
    assert await columns(url) == ["id"]


async def test_a_gap_in_the_numbers_is_refused(database: Database, package: Package) -> None:
    package.write(_0001_create_things=FIRST, _0003_add_name=SECOND)
    with pytest.raises(MigrationError, match="without a gap"):
        await migrate(await database(), schema="kit", package=package.name)
