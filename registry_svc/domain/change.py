"""Drafts of registries and changes to them, with the rule that a password stays at the host it was given for."""

from dataclasses import dataclass, replace
from datetime import datetime
from typing import TypeVar

from registry_svc.domain.errors import RegistryPasswordNeeded
from registry_svc.domain.registry import COLLECTION, UNTRIED, Credential, Endpoint, Registry, SealedCredential
from registry_svc.domain.rules import Violations, parse_ca_certificate, parse_id, parse_text, parse_url

_T = TypeVar("_T")

_USERNAME_FIELD = "registry.credential.username"
_PASSWORD_FIELD = "registry.credential.password"  # noqa: S105 - the name of a field


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """A registry as somebody describes it. Make it with `parse`; `id` is empty when it is only to be tried."""

    id: str
    type: str
    url: str
    description: str = ""
    credential: Credential | None = None
    insecure: bool = False
    ca_certificate: str = ""
    max_bytes_per_second: int = 0

    def parse(self) -> "Draft":
        """The draft with its fields in their stored form. Raises InvalidRequest with every mistake."""
        violations = Violations()
        parsed = replace(
            self,
            id=violations.read("registry_id", parse_id, self.id),
            description=violations.read("registry.description", parse_text, self.description),
            url=violations.read("registry.url", parse_url, self.url),
            ca_certificate=violations.read("registry.ca_certificate", parse_ca_certificate, self.ca_certificate),
        )
        if self.credential:
            violations.read(_USERNAME_FIELD, parse_text, self.credential.username)
        if self.credential and not self.credential.password:
            violations.add(_PASSWORD_FIELD, "is needed with a user name; leave out the credential for anonymous access")
        violations.raise_if_any()
        return parsed

    def endpoint(self) -> Endpoint:
        return Endpoint(
            registry=COLLECTION + self.id,
            url=self.url,
            credential=self.credential,
            insecure=self.insecure,
            ca_certificate=self.ca_certificate,
        )

    def register(self, *, uid: str, credential: SealedCredential | None, now: datetime) -> Registry:
        return Registry(
            uid=uid,
            id=self.id,
            type=self.type,
            url=self.url,
            description=self.description,
            credential=credential,
            insecure=self.insecure,
            ca_certificate=self.ca_certificate,
            max_bytes_per_second=self.max_bytes_per_second,
            create_time=now,
            update_time=now,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """New values of some fields; None leaves a field as it is. A credential is removed or given, not both."""

    description: str | None = None
    url: str | None = None
    insecure: bool | None = None
    ca_certificate: str | None = None
    max_bytes_per_second: int | None = None
    credential: Credential | None = None
    removes_credential: bool = False

    def parse(self) -> "Change":
        """The change with its fields in their stored form. Raises InvalidRequest with every mistake."""
        violations = Violations()
        parsed = self
        if self.description is not None:
            violations.read("registry.description", parse_text, self.description)
        if self.credential is not None:
            violations.read(_USERNAME_FIELD, parse_text, self.credential.username)
        if self.url is not None:
            parsed = replace(parsed, url=violations.read("registry.url", parse_url, self.url))
        if self.ca_certificate is not None:
            text = violations.read("registry.ca_certificate", parse_ca_certificate, self.ca_certificate)
            parsed = replace(parsed, ca_certificate=text)
        violations.raise_if_any()
        return parsed

    def keeps_password(self, registry: Registry) -> bool:
        """Whether the stored password goes on being used.

        Raises:
            RegistryPasswordNeeded: it would travel to another URL.
            InvalidRequest: another user name comes without a password.
        """
        stored = registry.credential
        if self.removes_credential or (self.credential and self.credential.password):
            return False
        if stored and self._moves(registry):
            raise RegistryPasswordNeeded(registry=registry.name)
        if self.credential and (stored is None or stored.username != self.credential.username):
            violations = Violations()
            violations.add(_PASSWORD_FIELD, "is needed with a new user name")
            violations.raise_if_any()
        return stored is not None

    def apply_to(self, registry: Registry, *, credential: SealedCredential | None, now: datetime) -> Registry:
        """The registry after the change, not yet tried when the way to it is another one."""
        changed = replace(
            registry,
            description=_given(self.description, registry.description),
            url=_given(self.url, registry.url),
            insecure=_given(self.insecure, registry.insecure),
            ca_certificate=_given(self.ca_certificate, registry.ca_certificate),
            max_bytes_per_second=_given(self.max_bytes_per_second, registry.max_bytes_per_second),
            credential=credential,
            update_time=now,
            revision=registry.revision + 1,
        )
        return changed if changed.way == registry.way else changed.checked(UNTRIED)

    def _moves(self, registry: Registry) -> bool:
        return self.url is not None and self.url != registry.url


def _given(value: _T | None, present: _T) -> _T:
    return present if value is None else value
