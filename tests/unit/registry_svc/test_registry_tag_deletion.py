"""Deleting one tag where a registry deletes by digest only."""

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import pytest

from oci_client.digest import Digest
from oci_client.errors import EndlessPaging, Unsupported
from oci_client.manifest import Descriptor, ImageIndex, Manifest, parse_manifest
from oci_client.media_types import OCI_INDEX
from registry_svc.adapters import retries, tag_deletion
from registry_svc.adapters.retries import Retries
from registry_svc.adapters.tag_deletion import MAX_OTHER_TAGS, TagDeletion
from registry_svc.domain.errors import TagDeletionUnsupported, TagNotFound


def _digest(number: int) -> str:
    return f"sha256:{number:064x}"


@dataclass
class FakeTags:
    """Tags with the digests they point to; only digests can be deleted, or not even those."""

    digests: dict[str, str]
    indexes: dict[str, ImageIndex] = field(default_factory=dict)
    deletes_digests: bool = True
    heads: list[str] = field(default_factory=list)
    reads: list[str] = field(default_factory=list)
    deleted: list[str] = field(default_factory=list)

    def push_index(self, tag: str, *children: str) -> str:
        entries = [
            {"mediaType": OCI_INDEX if each in self.indexes else "x/y", "digest": each, "size": 1} for each in children
        ]
        raw = json.dumps({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": entries}).encode()
        index = parse_manifest(raw, OCI_INDEX)
        assert isinstance(index, ImageIndex)
        self.indexes[index.digest] = index
        self.digests[tag] = index.digest
        return index.digest

    async def tags(self, repository: str) -> AsyncIterator[list[str]]:
        yield list(self.digests)

    async def head_manifest(self, repository: str, reference: str) -> Descriptor | None:
        self.heads.append(reference)
        digest = self.digests.get(reference)
        kind = OCI_INDEX if digest in self.indexes else "x/y"
        return Descriptor(media_type=kind, digest=Digest.parse(digest), size=1) if digest else None

    async def get_manifest(self, repository: str, reference: str) -> Manifest:
        self.reads.append(reference)
        return self.indexes[reference]

    async def delete_manifest(self, repository: str, reference: str) -> None:
        if ":" not in reference or not self.deletes_digests:
            raise Unsupported(status=405, method="DELETE", url="https://hub.example.com")
        self.deleted.append(reference)


async def _delete(registry: FakeTags, tag: str, *along: str) -> None:
    await TagDeletion(registry, "a/app", tag, Retries(), along=along).run()


async def test_a_digest_of_its_own_is_deleted() -> None:
    registry = FakeTags({str(number): _digest(number) for number in range(20)})

    await _delete(registry, "7")

    assert registry.deleted == [_digest(7)]
    assert len(registry.heads) == 20


async def test_a_shared_digest_stays_and_the_rest_is_not_asked_for() -> None:
    registry = FakeTags({str(number): _digest(min(number, 1)) for number in range(100)})

    with pytest.raises(TagDeletionUnsupported):
        await _delete(registry, "1")
    assert registry.deleted == []
    assert len(registry.heads) < 20


async def test_a_digest_goes_when_all_of_its_tags_do() -> None:
    registry = FakeTags({"1": _digest(1), "same": _digest(1), "other": _digest(2)})

    await _delete(registry, "1", "same", "gone")

    assert registry.deleted == [_digest(1)]


async def test_a_part_of_an_index_stays_as_long_as_a_tag_needs_it() -> None:
    """Who deletes `1-amd64` must not break `1`, also where that is an index of indexes."""
    registry = FakeTags({"amd64": _digest(1), "alone": _digest(2)})
    inner = registry.push_index("inner", _digest(1), _digest(3))
    registry.push_index("outer", inner)
    del registry.digests["inner"]

    with pytest.raises(TagDeletionUnsupported):
        await _delete(registry, "amd64")
    assert registry.deleted == []
    await _delete(registry, "alone")
    assert registry.deleted == [_digest(2)]


async def test_too_many_indexes_are_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tag_deletion, "MAX_INDEXES", 3)
    registry = FakeTags({"1": _digest(1)})
    for number in range(20):
        registry.push_index(f"index{number}", _digest(100 + number))

    with pytest.raises(TagDeletionUnsupported):
        await _delete(registry, "1")
    assert len(registry.reads) < 20
    assert registry.deleted == []


async def test_too_many_other_tags_are_not_looked_at() -> None:
    registry = FakeTags({str(number): _digest(number) for number in range(MAX_OTHER_TAGS + 2)})

    with pytest.raises(TagDeletionUnsupported):
        await _delete(registry, "7")
    assert (registry.heads, registry.deleted) == (["7"], [])


async def test_a_registry_that_deletes_nothing_says_so() -> None:
    with pytest.raises(TagDeletionUnsupported):
        await _delete(FakeTags({"1": _digest(1)}, deletes_digests=False), "1")


async def test_a_tag_that_is_not_there_is_not_found() -> None:
    with pytest.raises(TagNotFound):
        await _delete(FakeTags({"1": _digest(1)}), "2")


async def test_a_list_without_end_is_not_remembered_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retries, "MAX_NAMES", 3)

    with pytest.raises(EndlessPaging):
        async for _ in Retries().pages(lambda: FakeTags({str(n): "" for n in range(4)}).tags("a")):
            pass
