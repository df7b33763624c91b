"""Content digests: `algorithm:encoded`, as the image specification writes them."""

import hashlib
import re
from typing import Final, Protocol, Self

from oci_client.errors import InvalidDigest

SHA256: Final = "sha256"
SHA512: Final = "sha512"

# The two registered algorithms that every implementation knows; the value is the length of the hexadecimal text.
_HEX_LENGTHS: Final = {SHA256: 64, SHA512: 128}
_HEX: Final = re.compile(r"[0-9a-f]+")


class Hasher(Protocol):
    """What of a `hashlib` object is needed to hash a stream."""

    def update(self, data: bytes | bytearray | memoryview, /) -> None: ...

    def hexdigest(self) -> str: ...


class Digest(str):
    """A well-formed digest. It is a string too, so that it goes into URLs, JSON and SQL as it is."""

    __slots__ = ()

    @classmethod
    def parse(cls, text: str) -> Self:
        """Return `text` as a digest, or raise InvalidDigest."""
        algorithm, _, encoded = text.partition(":")
        if len(encoded) != _HEX_LENGTHS.get(algorithm) or not _HEX.fullmatch(encoded):
            raise InvalidDigest(text)
        return cls(text)

    @classmethod
    def of(cls, data: bytes, algorithm: str = SHA256) -> Self:
        """Hash `data`."""
        hasher = new_hasher(algorithm)
        hasher.update(data)
        return cls.from_hasher(algorithm, hasher)

    @classmethod
    def from_hasher(cls, algorithm: str, hasher: Hasher) -> Self:
        """Return the digest of all that `hasher` was fed with."""
        return cls.parse(f"{algorithm}:{hasher.hexdigest()}")

    @property
    def algorithm(self) -> str:
        return self.partition(":")[0]

    @property
    def encoded(self) -> str:
        return self.partition(":")[2]

    def hasher(self) -> Hasher:
        """Return a fresh hash object of this digest's algorithm."""
        return new_hasher(self.algorithm)

    def matches(self, hasher: Hasher) -> bool:
        """Whether `hasher` was fed with exactly the content that this digest names."""
        return hasher.hexdigest() == self.encoded


def new_hasher(algorithm: str = SHA256) -> Hasher:
    """Return a hash object, or raise InvalidDigest for an algorithm that is not known."""
    if algorithm not in _HEX_LENGTHS:
        raise InvalidDigest(f"{algorithm}:")
    return hashlib.new(algorithm)
