"""Where a repository goes at the destination, and whether it can go there."""

from dataclasses import dataclass

from replication.names import MAX_REPOSITORY_CHARS, is_repository_name


class MappingInvalid(ValueError):
    """The mapped name is no valid repository name."""

    def __init__(self, repository: str) -> None:
        super().__init__(f"{repository!r} is not a repository name of at most {MAX_REPOSITORY_CHARS} characters")
        self.repository = repository


class PathRuleViolated(ValueError):
    """The destination does not take repository paths of so many components."""

    def __init__(self, repository: str, rule: str) -> None:
        super().__init__(f"{repository!r} does not have {rule}")
        self.repository = repository
        self.rule = rule


def map_repository(source: str, *, namespace: str | None = None, repository: str | None = None) -> str:
    """The name at the destination: `repository` itself, or the last component in `namespace`, or as at the source.

    Raises:
        MappingInvalid: the distribution specification does not allow that name.
    """
    mapped = source
    if repository is not None:
        mapped = repository
    elif namespace is not None:
        mapped = f"{namespace}/{source.rpartition('/')[2]}"
    if not is_repository_name(mapped):
        raise MappingInvalid(mapped)
    return mapped


@dataclass(frozen=True, slots=True, kw_only=True)
class PathRule:
    """How many components a registry wants in a repository's path; a maximum of 0 is no limit."""

    min_components: int = 1
    max_components: int = 0

    def check(self, name: str) -> None:
        """Raises PathRuleViolated when the name has too few or too many components."""
        count = name.count("/") + 1
        if count < self.min_components or (self.max_components and count > self.max_components):
            raise PathRuleViolated(name, str(self))

    def __str__(self) -> str:
        """The rule in words, such as `exactly 2 path components`."""
        if self.min_components == self.max_components:
            return f"exactly {self.min_components} path components"
        if self.max_components:
            return f"{self.min_components} to {self.max_components} path components"
        return f"at least {self.min_components} path components"
