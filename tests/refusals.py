"""What the caller of a refused gRPC call learns."""

from collections.abc import Iterator
from contextlib import contextmanager

import grpc.aio
import pytest

from service_kit.errors import Kind, ServiceError
from service_kit.status import from_rpc_error


class Refusal:
    """The error, once the call has been refused."""

    error: ServiceError

    @property
    def fields(self) -> list[str]:
        return [each.field for each in self.error.violations]


@contextmanager
def refused(kind: Kind, reason: str) -> Iterator[Refusal]:
    """The call within must be refused in this way."""
    refusal = Refusal()
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        yield refusal
    refusal.error = from_rpc_error(caught.value)
    assert (refusal.error.kind, refusal.error.reason) == (kind, reason), refusal.error
