"""Checks a blob on its way."""

from __future__ import annotations

from dataclasses import dataclass, field

from oci_client.digest import Digest, Hasher
from oci_client.errors import DigestMismatch


@dataclass(slots=True, kw_only=True)
class Verifier:
    """Hashes a blob as it passes, each byte once, and holds its end back until the digest is known to be right.

    After a crash the first bytes went by in another process. Then `prefix_unseen` is set, and only the registry can
    check the digest, as the specification makes it do before it stores a blob.
    """

    digest: Digest
    size: int
    prefix_unseen: bool = False
    hashed: int = 0
    _hasher: Hasher = field(init=False)

    def __post_init__(self) -> None:
        self._hasher = self.digest.hasher()

    def update(self, offset: int, view: memoryview) -> None:
        """Take the bytes at `offset`; raises DigestMismatch with the last one if the blob is not what it should be."""
        new = self.hashed - offset
        if self.prefix_unseen or new >= len(view):
            return
        self._hasher.update(view[new:])
        self.hashed = offset + len(view)
        if self.hashed == self.size and not self.digest.matches(self._hasher):
            raise DigestMismatch(expected=self.digest, actual=f"{self.digest.algorithm}:{self._hasher.hexdigest()}")

    def has_seen(self, offset: int) -> bool:
        """Tell whether the bytes before `offset` went by, as far as that is known."""
        return self.prefix_unseen or offset <= self.hashed
