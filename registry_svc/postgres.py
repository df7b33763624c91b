"""Registries in PostgreSQL."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

import psycopg
from psycopg.rows import kwargs_row

from registry_svc.domain.errors import RegistryAlreadyExists, RegistryNotFound
from registry_svc.domain.registry import COLLECTION, Check, Registry, SealedCredential, State
from service_kit.database import Pool, unique_violation
from service_kit.errors import EtagMismatch

_INSERT: Final = """
INSERT INTO registries (uid, id, type, description, url, username, sealed_password, insecure, ca_certificate,
                        max_bytes_per_second, revision, create_time, update_time, state, state_message, check_time,
                        next_check_time)
VALUES (%(uid)s, %(id)s, %(type)s, %(description)s, %(url)s, %(username)s, %(sealed_password)s, %(insecure)s,
        %(ca_certificate)s, %(max_bytes_per_second)s, %(revision)s, %(create_time)s, %(update_time)s, %(state)s,
        %(state_message)s, %(check_time)s, %(update_time)s)
"""

_GET: Final = """
SELECT uid, id, type, description, url, username, sealed_password, insecure, ca_certificate,
       max_bytes_per_second, revision, create_time, update_time, state, state_message, check_time
  FROM registries
 WHERE id = %(key)s OR uid = %(key)s
"""

_PAGE: Final = """
SELECT uid, id, type, description, url, username, sealed_password, insecure, ca_certificate,
       max_bytes_per_second, revision, create_time, update_time, state, state_message, check_time
  FROM registries
 WHERE id COLLATE "C" > %(after)s AND (%(type)s = '' OR type = %(type)s)
 ORDER BY id COLLATE "C"
 LIMIT %(limit)s
"""

# The revision in the condition makes two changes at once one change and one EtagMismatch.
_REPLACE: Final = """
UPDATE registries
   SET description = %(description)s, url = %(url)s, username = %(username)s, sealed_password = %(sealed_password)s,
       insecure = %(insecure)s, ca_certificate = %(ca_certificate)s,
       max_bytes_per_second = %(max_bytes_per_second)s, revision = %(revision)s,
       update_time = %(update_time)s, state = %(state)s, state_message = %(state_message)s,
       check_time = %(check_time)s, next_check_time = %(update_time)s
 WHERE uid = %(uid)s AND revision = %(revision)s - 1
"""

_DELETE: Final = "DELETE FROM registries WHERE uid = %(uid)s"

# Hands out what is due; replicas skip rows that another one is just claiming, and find them moved on afterwards.
_CLAIM_DUE: Final = """
UPDATE registries SET next_check_time = %(again_at)s
 WHERE uid IN (SELECT uid FROM registries WHERE next_check_time <= %(now)s
                ORDER BY next_check_time LIMIT %(limit)s FOR UPDATE SKIP LOCKED)
RETURNING uid, id, type, description, url, username, sealed_password, insecure, ca_certificate,
          max_bytes_per_second, revision, create_time, update_time, state, state_message, check_time
"""

_RECORD_CHECK: Final = """
UPDATE registries SET state = %(state)s, state_message = %(state_message)s, check_time = %(check_time)s
 WHERE uid = %(uid)s AND revision = %(revision)s
"""


class PostgresRegistryStore:
    """Keeps registries in the table `registries`."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def insert(self, registry: Registry) -> None:
        try:
            async with self._pool.connection() as connection:
                await connection.execute(_INSERT, _row(registry))
        except psycopg.errors.UniqueViolation as error:
            if unique_violation(error) == "registries_id_key":
                raise RegistryAlreadyExists(registry=registry.name) from error
            raise

    async def get(self, key: str) -> Registry:
        async with self._pool.connection() as connection, connection.cursor(row_factory=_REGISTRY) as cursor:
            await cursor.execute(_GET, {"key": key})
            registry = await cursor.fetchone()
        if registry is None:
            raise RegistryNotFound(registry=COLLECTION + key)
        return registry

    async def page(self, *, type_: str, after: str, limit: int) -> Sequence[Registry]:
        async with self._pool.connection() as connection, connection.cursor(row_factory=_REGISTRY) as cursor:
            await cursor.execute(_PAGE, {"type": type_, "after": after, "limit": limit})
            return await cursor.fetchall()

    async def replace(self, registry: Registry) -> None:
        async with self._pool.connection() as connection:
            cursor = await connection.execute(_REPLACE, _row(registry))
        if cursor.rowcount == 0:
            raise EtagMismatch(registry=registry.name)

    async def delete(self, uid: str) -> None:
        async with self._pool.connection() as connection:
            cursor = await connection.execute(_DELETE, {"uid": uid})
        if cursor.rowcount == 0:
            raise RegistryNotFound(registry=COLLECTION + uid)

    async def claim_due(self, *, now: datetime, again_at: datetime, limit: int) -> Sequence[Registry]:
        async with self._pool.connection() as connection, connection.cursor(row_factory=_REGISTRY) as cursor:
            await cursor.execute(_CLAIM_DUE, {"now": now, "again_at": again_at, "limit": limit})
            return await cursor.fetchall()

    async def record_check(self, registry: Registry, check: Check) -> None:
        async with self._pool.connection() as connection:
            await connection.execute(_RECORD_CHECK, _row(registry.checked(check)))


def _row(registry: Registry) -> dict[str, Any]:
    credential = registry.credential
    return {
        "uid": registry.uid,
        "id": registry.id,
        "type": registry.type,
        "description": registry.description,
        "url": registry.url,
        "username": credential.username if credential else None,
        "sealed_password": credential.password if credential else None,
        "insecure": registry.insecure,
        "ca_certificate": registry.ca_certificate,
        "max_bytes_per_second": registry.max_bytes_per_second,
        "revision": registry.revision,
        "create_time": registry.create_time,
        "update_time": registry.update_time,
        "state": registry.check.state,
        "state_message": registry.check.message,
        "check_time": registry.check.time,
    }


def _registry(
    *,
    username: str | None,
    sealed_password: bytes | None,
    state: str,
    state_message: str,
    check_time: datetime | None,
    **same: Any,
) -> Registry:
    credential = None
    if username is not None and sealed_password is not None:
        credential = SealedCredential(username=username, password=sealed_password)
    check = Check(state=State(state), message=state_message, time=check_time)
    return Registry(credential=credential, check=check, **same)


_REGISTRY: Final = kwargs_row(_registry)
