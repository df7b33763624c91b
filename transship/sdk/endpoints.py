"""Where the services are: said outright, by the environment, or by the stack of this machine."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

from service_kit.tls import ClientTls
from transship.local.state import LocalStack, StateDir

REGISTRY_TARGET_VARIABLE: Final = "TRANSSHIP_REGISTRY_TARGET"
POLICY_TARGET_VARIABLE: Final = "TRANSSHIP_POLICY_TARGET"
EXECUTION_TARGET_VARIABLE: Final = "TRANSSHIP_EXECUTION_TARGET"
TLS_CA_VARIABLE: Final = "TRANSSHIP_TLS_CA_FILE"
TLS_CERT_VARIABLE: Final = "TRANSSHIP_TLS_CERT_FILE"
TLS_KEY_VARIABLE: Final = "TRANSSHIP_TLS_KEY_FILE"


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoints:
    """host:port of each service that clients call, and whom to trust there; without tls, nothing is encrypted."""

    registry: str
    policy: str
    execution: str
    tls: ClientTls | None = None

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> Self:
        """The three targets of the environment, or else the stack that runs on this machine.

        Raises:
            ValueError: only some of the targets are given.
            StackNotRunning: none is, and no stack runs.
        """
        return cls.choose(
            registry=environment.get(REGISTRY_TARGET_VARIABLE),
            policy=environment.get(POLICY_TARGET_VARIABLE),
            execution=environment.get(EXECUTION_TARGET_VARIABLE),
            tls=client_tls(
                environment.get(TLS_CA_VARIABLE), environment.get(TLS_CERT_VARIABLE), environment.get(TLS_KEY_VARIABLE)
            ),
        )

    @classmethod
    def choose(
        cls,
        *,
        registry: str | None,
        policy: str | None,
        execution: str | None,
        tls: ClientTls | None = None,
        state_dir: Path | None = None,
    ) -> Self:
        """The given targets, or the local stack when there is none. Raises as from_environment."""
        if registry and policy and execution:
            return cls(registry=registry, policy=policy, execution=execution, tls=tls)
        if registry or policy or execution:
            raise ValueError("Give the targets of all three services (registry, policy, execution), or of none.")
        return cls.from_local_stack(state_dir)

    @classmethod
    def from_local_stack(cls, state_dir: Path | None = None) -> Self:
        """The stack of the directory, else of TRANSSHIP_STATE_DIR, else of the default. Raises StackNotRunning."""
        found = LocalStack.load(StateDir.choose(state_dir)).endpoints
        return cls(registry=found["registry_svc"], policy=found["policy_svc"], execution=found["execution_svc"])


def client_tls(ca: Path | str | None, cert: Path | str | None, key: Path | str | None) -> ClientTls | None:
    """TLS when an authority is given; a certificate of our own needs its key. Raises ValueError."""
    if bool(cert) != bool(key):
        raise ValueError("A client certificate and its key go together.")
    if cert and not ca:
        raise ValueError("A client certificate needs the authority of the services beside it.")
    if not ca:
        return None
    return ClientTls(ca=Path(ca), cert=Path(cert) if cert else None, key=Path(key) if key else None)
