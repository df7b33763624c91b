"""Products as we know them: how they behave, and the quirks that each request meets. A new value for each registry."""

from dataclasses import dataclass

from oci_client.testing.behaviour import Behaviour
from oci_client.testing.effects import answer_with, stuck_range, with_status
from oci_client.testing.faults import Match, Rule
from oci_client.testing.messages import Action, Request

GHCR_CHUNK_BYTES = 4 * 1024 * 1024
ECR_PART_BYTES = 5 * 1024 * 1024
_CHUNKS = Match(action=Action.UPLOAD, method="PATCH")


@dataclass(frozen=True, slots=True, kw_only=True)
class Product:
    """A registry product."""

    behaviour: Behaviour
    rules: tuple[Rule, ...] = ()


def distribution_2() -> Product:
    """Distribution 2.8, on which Harbor stands: no referrers, no pages of tags, and an upload that forgives nothing."""
    return Product(
        behaviour=Behaviour(
            referrers_api=False,
            oci_tag_put=False,
            delete_by_tag=False,
            single_post=False,
            pagination=False,
            content_range=False,
            stale_state_cancels=True,
        )
    )


def distribution_3() -> Product:
    """Distribution 3: chunks must continue where the upload stands; still no referrers."""
    return Product(behaviour=Behaviour(referrers_api=False, oci_tag_put=False, single_post=False))


def ecr() -> Product:
    """Amazon ECR: 201 for a chunk, a Range that does not move, parts of 5 MiB, and mounts switched off."""
    behaviour = Behaviour(mount=False, min_chunk_bytes=ECR_PART_BYTES, delete_by_tag=False, oci_tag_put=False)
    quirks = (Rule(effect=with_status(201), match=_CHUNKS), Rule(effect=stuck_range(), match=_CHUNKS))
    return Product(behaviour=behaviour, rules=quirks)


def ghcr() -> Product:
    """GitHub packages: a chunk over 4 MiB is out of range, and there is no catalog."""
    no_catalog = Rule(effect=answer_with(404), match=Match(action=Action.CATALOG))
    return Product(behaviour=Behaviour(max_chunk_bytes=GHCR_CHUNK_BYTES, referrers_api=False), rules=(no_catalog,))


def gar() -> Product:
    """Google Artifact Registry: a blob comes whole; chunks are refused."""
    chunk = Match(action=Action.UPLOAD, method="PATCH", where=_is_chunk)
    return Product(behaviour=Behaviour(), rules=(Rule(effect=answer_with(400, code="UNSUPPORTED"), match=chunk),))


def quay() -> Product:
    """Quay: a mount that does not say from where is an error."""
    mount = Match(action=Action.UPLOAD_START, where=_mounts_from_nowhere)
    return Product(behaviour=Behaviour(), rules=(Rule(effect=answer_with(400, code="NAME_INVALID"), match=mount),))


def _is_chunk(request: Request) -> bool:
    return request.header("Content-Range") is not None


def _mounts_from_nowhere(request: Request) -> bool:
    return request.param("mount") is not None and request.param("from") is None
