"""Asks a service how it is."""

from enum import StrEnum
from typing import Final

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc  # type: ignore[import-untyped]

CHECK_TIMEOUT_S: Final = 2.0


class Health(StrEnum):
    """What grpc.health.v1 answered; UNREACHABLE when nothing did."""

    SERVING = "SERVING"
    NOT_SERVING = "NOT_SERVING"
    UNREACHABLE = "UNREACHABLE"


async def check(endpoint: str) -> Health:
    # An HTTP proxy of the environment does not know the way to our loopback.
    async with grpc.aio.insecure_channel(endpoint, options=[("grpc.enable_http_proxy", 0)]) as channel:
        try:
            answer = await health_pb2_grpc.HealthStub(channel).Check(
                health_pb2.HealthCheckRequest(), timeout=CHECK_TIMEOUT_S
            )
        except grpc.aio.AioRpcError:
            return Health.UNREACHABLE
    is_serving = answer.status == health_pb2.HealthCheckResponse.SERVING
    return Health.SERVING if is_serving else Health.NOT_SERVING
