"""Everything that can go wrong between us and a registry.

    OciError
    ├── InvalidDigest, InvalidReference      a text that is none
    ├── ManifestInvalid                      a manifest that breaks the specification
    ├── RegistryError                        the registry answered, and the answer is no
    │   ├── Unauthorized (401)  Denied (403)  TooManyRequests (429)  ServerFault (5xx)
    │   ├── NotFound (404)
    │   │   └── NameUnknown  ManifestUnknown  BlobUnknown  UploadUnknown
    │   ├── ManifestBlobUnknown              a pushed manifest points to content that is not there
    │   ├── RangeInvalid (416)  Unsupported (405)
    │   └── TagImmutable                     the tag exists and may not move
    ├── MisbehavingRegistry                  the answer breaks the protocol; another try may get a better one
    │   ├── DigestMismatch  SizeMismatch  TruncatedBody  BodyTooLarge
    │   └── UnexpectedAnswer  RedirectRefused  EndlessPaging
    └── Unreachable                          no answer at all
        └── TlsFailure  RegistryTimeout

No message holds a secret: URLs are told without user and query.
"""

from dataclasses import dataclass, field
from typing import Any, ClassVar


class OciError(Exception):
    """Base of all errors of this package."""


class InvalidDigest(OciError):
    """The text is not a digest of a known algorithm."""

    def __init__(self, text: str) -> None:
        super().__init__(f"{text!r} is not a digest")
        self.text = text


class InvalidReference(OciError):
    """The text is not a repository, tag or reference."""

    def __init__(self, text: str, problem: str) -> None:
        super().__init__(f"{text!r} {problem}")
        self.text = text


class ManifestInvalid(OciError):
    """The manifest breaks the specification; the message says where."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorDetail:
    """One entry of the `errors` list in a registry's answer."""

    code: str
    message: str = ""
    detail: Any = None


@dataclass(eq=False, kw_only=True)
class RegistryError(OciError):
    """The registry refused. `url` is without its query, which may hold secrets; `retry_after` is in seconds."""

    explanation: ClassVar[str] = "the registry refused"

    status: int
    method: str
    url: str
    errors: tuple[ErrorDetail, ...] = field(default=())
    retry_after: float | None = None

    @property
    def codes(self) -> frozenset[str]:
        return frozenset(error.code for error in self.errors)

    def __str__(self) -> str:
        said = "; ".join(f"{error.code}: {error.message}" if error.message else error.code for error in self.errors)
        return f"{self.method} {self.url}: {self.status} {said or self.explanation}"


class Unauthorized(RegistryError):
    """401: the credential is missing or wrong, also after a fresh token."""

    explanation = "a valid credential is needed"


class Denied(RegistryError):
    """403: the credential is known and does not allow this."""

    explanation = "the credential does not allow this"


class NotFound(RegistryError):
    """404 without a code that says more."""

    explanation = "not found"


class NameUnknown(NotFound):
    """The registry does not know the repository."""


class ManifestUnknown(NotFound):
    """The repository has no such manifest."""


class BlobUnknown(NotFound):
    """The repository has no such blob."""


class UploadUnknown(NotFound):
    """The upload session is over: finished, cancelled or expired."""


class TooManyRequests(RegistryError):
    """429: slow down, for `retry_after` seconds when that is given."""

    explanation = "too many requests"


class ServerFault(RegistryError):
    """5xx: the registry failed; the same request may succeed later."""

    explanation = "the registry failed"


@dataclass(eq=False, kw_only=True)
class ManifestBlobUnknown(RegistryError):
    """A pushed manifest points to content that the repository lacks; `digests` are those the registry named."""

    digests: tuple[str, ...] = ()


class RangeInvalid(RegistryError):
    """416: the chunk or the asked range does not fit."""

    explanation = "the range does not fit"


class Unsupported(RegistryError):
    """The registry does not have this operation."""

    explanation = "the operation is not supported"


class TagImmutable(RegistryError):
    """The tag exists with other content and a rule of the registry forbids to move it."""

    explanation = "the tag may not be overwritten"


class MisbehavingRegistry(OciError):
    """The answer breaks the protocol."""


class DigestMismatch(MisbehavingRegistry):
    """The content is not what its digest says."""

    def __init__(self, *, expected: str, actual: str) -> None:
        super().__init__(f"expected {expected}, got {actual}")
        self.expected = expected
        self.actual = actual


class SizeMismatch(MisbehavingRegistry):
    """The content is longer or shorter than announced."""

    def __init__(self, *, expected: int, actual: int) -> None:
        super().__init__(f"expected {expected} bytes, got {actual}")
        self.expected = expected
        self.actual = actual


class TruncatedBody(MisbehavingRegistry):
    """The connection ended before the body did."""


class UnexpectedAnswer(MisbehavingRegistry):
    """The answer is not of the kind that the specification allows here."""


class RedirectRefused(UnexpectedAnswer):
    """A public registry sends us to a host that only we can reach."""


class BodyTooLarge(MisbehavingRegistry):
    """The body exceeds what we are willing to read."""


class EndlessPaging(MisbehavingRegistry):
    """A listing goes in circles or never ends."""


class Unreachable(OciError):
    """No answer: the name does not resolve, nobody listens, or the connection broke."""


class TlsFailure(Unreachable):
    """The certificate is not trusted, or no TLS is spoken there."""


class RegistryTimeout(Unreachable):
    """Nothing came within the time that we wait."""
