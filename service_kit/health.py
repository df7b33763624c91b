"""Asks a service whether it serves: `python -m service_kit.health host:port`, for containers and scripts.

Follows the gRPC health checking protocol, grpc.health.v1. Ends with 0 when the service serves, and with 1 otherwise.
"""

import sys
from typing import Final

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc  # type: ignore[import-untyped]

TIMEOUT_S: Final = 5.0  # a service that needs longer for this is not well
EXIT_USAGE: Final = 2


def is_serving(target: str) -> bool:
    """Whether the server at host:port answers that it serves, within TIMEOUT_S."""
    with grpc.insecure_channel(target) as channel:
        try:
            answer = health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(), timeout=TIMEOUT_S)
        except grpc.RpcError:
            return False
    return bool(answer.status == health_pb2.HealthCheckResponse.SERVING)


def main(arguments: list[str]) -> int:
    """Returns the exit code."""
    if len(arguments) != 1:
        sys.stderr.write("usage: python -m service_kit.health HOST:PORT\n")
        return EXIT_USAGE
    return 0 if is_serving(arguments[0]) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
