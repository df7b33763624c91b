"""Passwords are in memory and, sealed, in one table; nobody finds them anywhere else."""

import base64
from uuid import uuid4

import psycopg
import pytest
from psycopg import sql

from oci_client.testing import BasicAuth, FakeRegistry
from tests.e2e.stack import ADAPTER, Stack
from transship.local.database import DATABASE, embedded_postgres

pytestmark = pytest.mark.e2e

_USERNAME = "robot"


async def test_a_wrong_password_is_told_in_one_sentence_without_it(stack: Stack) -> None:
    right, wrong = _password(), _password()
    async with FakeRegistry(auth=BasicAuth(username=_USERNAME, password=right)) as registry:
        given = ("--type", ADAPTER, "--url", registry.url, "--username", _USERNAME, "--password-stdin")
        answer = await stack.cli("registry", "create", f"r-{uuid4().hex}", *given, stdin=wrong, code=1)

        assert (answer.out, len(answer.err.splitlines())) == ("", 1)
        assert answer.err.startswith("Error: ")
        assert "refuse" in answer.err
        assert _traces(answer.err.encode(), wrong) == []
        assert traces_in(stack, wrong) == []


async def test_passwords_are_nowhere_in_the_clear(stack: Stack) -> None:
    """Nowhere: in no log, no table, no file of the database such as its journal, and no output."""
    passwords = [_password(), _password()]
    source, goal = (FakeRegistry(auth=BasicAuth(username=_USERNAME, password=each)) for each in passwords)
    async with source, goal:
        names = []
        for registry, password in zip((source, goal), passwords, strict=True):
            names.append(f"r-{uuid4().hex}")
            given = ("--type", ADAPTER, "--url", registry.url, "--username", _USERNAME, "--password-stdin")
            await stack.cli("registry", "create", names[-1], *given, stdin=password)
        source.push_index("library/app", "1.0")
        policy = f"p-{uuid4().hex}"
        await stack.cli("policy", "create", policy, "--source", names[0], "--destination", names[1])
        ran = await stack.cli("run", policy)
        goal.auth = BasicAuth(username=_USERNAME, password=_password())
        source.push_image("library/app", "2.0", seed=9)
        failed = await stack.cli("run", policy, code=1)
        shown = [await stack.cli("registry", "get", name, "-o", "json") for name in names]

        assert goal.store.repository("library/app").tags.keys() == {"1.0"}
        assert "(REGISTRY_CREDENTIAL_REJECTED)" in failed.err
        outputs = "".join(each.out + each.err for each in (ran, failed, *shown)).encode()
        for password in passwords:
            assert _traces(outputs, password) == []
            assert traces_in(stack, password) == []


async def test_a_trace_would_be_found(stack: Stack) -> None:
    """The search of the two tests above finds what is there: a name in its table and in the journal."""
    name = f"needle-{uuid4().hex}"
    async with FakeRegistry() as registry:
        await stack.cli("registry", "create", name, "--type", ADAPTER, "--url", registry.url)
        places = traces_in(stack, name)
        assert "registry.registries" in places
        assert any("/pg_wal/" in place for place in places)


def traces_in(stack: Stack, secret: str) -> list[str]:
    """The tables and the files of the state directory that hold the secret in some form."""
    return [*_tables_with(stack, secret), *_files_with(stack, secret)]


def _tables_with(stack: Stack, secret: str) -> list[str]:
    found = []
    with psycopg.connect(embedded_postgres(stack.state).url(DATABASE)) as connection:
        tables = connection.execute(
            "SELECT schemaname, tablename FROM pg_tables"
            " WHERE schemaname NOT IN ('pg_catalog', 'information_schema') ORDER BY 1, 2"
        ).fetchall()
        for schema, table in tables:
            rows = connection.execute(sql.SQL("SELECT t::text FROM {} AS t").format(sql.Identifier(schema, table)))
            if _traces("\n".join(row[0] for row in rows).encode(), secret):
                found.append(f"{schema}.{table}")
    assert {schema for schema, _ in tables} >= {"registry", "policy", "execution", "job"}
    return found


def _files_with(stack: Stack, secret: str) -> list[str]:
    files = sorted(each for each in stack.state.path.rglob("*") if each.is_file())
    return [str(each.relative_to(stack.state.path)) for each in files if _traces(each.read_bytes(), secret)]


def _traces(text: bytes, secret: str) -> list[bytes]:
    """The forms of the secret that stand in the text: as it is, as Basic sends it, and in the hex of a bytea."""
    forms = (secret.encode(), base64.b64encode(f"{_USERNAME}:{secret}".encode()), secret.encode().hex().encode())
    return [form for form in forms if form in text]


def _password() -> str:
    return f"pass/{uuid4().hex}"
