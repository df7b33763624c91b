"""From which sizes on blobs travel in pieces."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

_MIB = 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class TransferLimits:
    """Sizes in bytes. What a transfer holds in memory is `parallel_reads` times `part_bytes` and one small buffer."""

    chunked_above: int = 128 * _MIB  # what is lost when a smaller blob starts anew is soon caught up
    chunk: int = 64 * _MIB  # a request more for each costs nothing; that much is sent again after a cut
    parallel_above: int = 64 * _MIB  # smaller blobs are through before it is clear that the source is slow
    probe: int = 16 * _MIB  # so much goes by in one stream before that is judged
    part: int = 4 * _MIB
    parallel_reads: int = 4


AS_USUAL: Final = TransferLimits()
