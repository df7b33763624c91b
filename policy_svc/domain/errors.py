"""The errors of policies."""

from collections.abc import Mapping

from service_kit.errors import DOMAIN, FieldViolation, Kind, RemoteError, ServiceError


class PolicyNotFound(ServiceError):
    """There is no policy {policy}."""

    kind = Kind.NOT_FOUND
    reason = "POLICY_NOT_FOUND"


class PolicyAlreadyExists(ServiceError):
    """Another policy has the name {policy}. Choose another id."""

    kind = Kind.ALREADY_EXISTS
    reason = "POLICY_ALREADY_EXISTS"


REGISTRY_NOT_FOUND = "REGISTRY_NOT_FOUND"


def registry_not_found(missing: Mapping[str, str]) -> ServiceError:
    """The error of the registry service, with the policy's fields that name the missing registries.

    The class is the registry service's own: a second one here would claim the same reason.
    """
    names = ", ".join(dict.fromkeys(missing.values()))
    return RemoteError.of(
        Kind.NOT_FOUND,
        reason=REGISTRY_NOT_FOUND,
        domain=DOMAIN,
        message=f"There is no registry {names}. Register it, then repeat the request.",
        metadata={"registry": names},
        violations=[
            FieldViolation(field, f"there is no registry {name}", REGISTRY_NOT_FOUND) for field, name in missing.items()
        ],
    )
