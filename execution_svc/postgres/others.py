"""What other policies have at a destination, too."""
# ruff: noqa: S608  (statements are made of constants)

from collections.abc import Sequence
from typing import Final

from execution_svc.domain.policy import Policy
from execution_svc.domain.written import TagPlace
from execution_svc.postgres.settling import Connection

# What an inline policy has is nobody's.
_IS_ANOTHERS: Final = "other.policy NOT IN (%(policy)s, '') AND NOT other.deleted AND other.missing_since IS NULL"
# Of a row `w` of written tags, what other policies have at its place from their own sources.
OTHERS_AT_PLACE: Final = (
    """
SELECT FROM written_tags AS other
 WHERE (other.destination_registry, other.destination_repository, other.tag)
       = (w.destination_registry, w.destination_repository, w.tag) AND """
    + _IS_ANOTHERS
)
_OTHERS: Final = (
    """
SELECT (SELECT min(other.policy) FROM written_tags AS other
         WHERE (other.destination_registry, other.destination_repository, other.tag)
               = (asked.registry, asked.repository, asked.tag) AND """
    + _IS_ANOTHERS
    + """)
  FROM unnest(%(registries)s::text[], %(repositories)s::text[], %(tags)s::text[]) WITH ORDINALITY
       AS asked (registry, repository, tag, place)
 ORDER BY place
"""
)


async def other_policies(conn: Connection, policy: Policy, places: Sequence[TagPlace]) -> dict[TagPlace, str]:
    """Those of the places at which another policy has the tag from its own source, and the uid of that policy."""
    parameters = {
        "policy": policy.identity,
        "registries": [each.registry for each in places],
        "repositories": [each.repository for each in places],
        "tags": [each.tag for each in places],
    }
    cursor = await conn.execute(_OTHERS, parameters)
    found = zip(places, await cursor.fetchall(), strict=True)
    return {place: other for place, (other,) in found if other}
