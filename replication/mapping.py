"""Where an artifact goes at the destination, and whether it can go there."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from replication.errors import PatternInvalid
from replication.linear_regex import RegexInvalid
from replication.names import MAX_REPOSITORY_CHARS, MAX_TAG_CHARS, is_repository_name, is_tag
from replication.rewriting import RegexRewrite, ReplacementInvalid
from replication.templates import TemplateInvalid, check_template, fill_template

REPOSITORY_NAMES: Final = frozenset({"path", "namespace", "name", "registry"})
TAG_NAMES: Final = frozenset({"tag", "name", "namespace", "registry"})
BACKUP_TAG_NAMES: Final = frozenset({"tag", "digest", "date", "time"})

ALL_BUT_LAST: Final = -1  # as a replace count

_DIGEST_CHARS: Final = 12  # as other tools shorten digests


class MappingInvalid(ValueError):
    """The mapped name is no valid repository name."""

    def __init__(self, repository: str) -> None:
        super().__init__(f"{repository!r} is not a repository name of at most {MAX_REPOSITORY_CHARS} characters")
        self.repository = repository


class MappedTagInvalid(ValueError):
    """The mapped tag is no valid tag, or is not another one where it has to be."""

    def __init__(self, tag: str, why: str = f"is not a tag of at most {MAX_TAG_CHARS} characters") -> None:
        super().__init__(f"{tag!r} {why}")
        self.tag = tag


class ReplaceCountTooLarge(ValueError):
    """The repository's path has fewer components than are to be replaced."""

    def __init__(self, repository: str, replace_count: int) -> None:
        components = repository.count("/")
        super().__init__(f"{repository!r} has {components} components before its last, not {replace_count} to replace")
        self.repository = repository
        self.replace_count = replace_count


class PathRuleViolated(ValueError):
    """The destination does not take repository paths of so many components."""

    def __init__(self, repository: str, rule: str) -> None:
        super().__init__(f"{repository!r} does not have {rule}")
        self.repository = repository
        self.rule = rule


@dataclass(frozen=True, slots=True, kw_only=True)
class Mapping:
    """How things are named at a destination. What is empty says nothing; at most one field names repositories.

    The default keeps all names. `registry`, where it is asked for, is the id of the source.
    """

    namespace: str = ""
    replace_count: int = ALL_BUT_LAST  # leading components that the namespace replaces
    repository: str = ""
    template: str = ""
    rewrite: RegexRewrite | None = None
    tag: str = ""

    @property
    def keeps_repositories(self) -> bool:
        return not (self.namespace or self.repository or self.template or self.rewrite)

    def mistakes(self) -> Iterator[tuple[str, PatternInvalid]]:
        """What is wrong with it, each with its field in `Destination`."""
        for field, text, names in (("template", self.template, REPOSITORY_NAMES), ("tag", self.tag, TAG_NAMES)):
            try:
                check_template(text, names)
            except TemplateInvalid as error:
                yield field, error
        try:
            if self.rewrite:
                self.rewrite.check()
        except RegexInvalid as error:
            yield "rewrite.regex", error
        except ReplacementInvalid as error:
            yield "rewrite.replacement", error

    def map_repository(self, source: str, *, registry: str) -> str:
        """The repository at the destination.

        Raises:
            MappingInvalid: the distribution specification does not allow the name.
            ReplaceCountTooLarge: the source's path is too short.
        """
        mapped = self._repository(source, registry)
        if not is_repository_name(mapped):
            raise MappingInvalid(mapped)
        return mapped

    def map_tag(self, tag: str, *, repository: str, registry: str) -> str:
        """The tag at the destination of one in the source's repository; an artifact without a tag gets none.

        Raises:
            MappedTagInvalid: the distribution specification does not allow the tag.
        """
        if not (tag and self.tag):
            return tag
        namespace, _, name = repository.rpartition("/")
        values = {"tag": tag, "name": name, "namespace": namespace.replace("/", "-"), "registry": registry}
        return _checked_tag(fill_template(self.tag, values))

    def _repository(self, source: str, registry: str) -> str:
        if self.repository:
            return self.repository
        if self.namespace:
            return f"{self.namespace}/{_rest(source, self.replace_count)}"
        if self.template:
            namespace, _, name = source.rpartition("/")
            values = {"path": source, "namespace": namespace, "name": name, "registry": registry}
            return "/".join(filter(None, fill_template(self.template, values).split("/")))
        return self.rewrite.apply(source) if self.rewrite else source


def _rest(source: str, replace_count: int) -> str:
    """The path without its first components; the last one always stays."""
    components = source.split("/")
    if replace_count == ALL_BUT_LAST:
        return components[-1]
    if replace_count >= len(components):
        raise ReplaceCountTooLarge(source, replace_count)
    return "/".join(components[replace_count:])


def backup_tag(template: str, *, tag: str, digest: str, now: datetime) -> str:
    """The tag under which an artifact is kept whose own tag, the given one, is about to be overwritten.

    Raises:
        TemplateInvalid: the template cannot be read.
        MappedTagInvalid: that is no tag, or the very one that is overwritten.
    """
    moment = now.astimezone(UTC)
    values = {
        "tag": tag,
        "digest": digest.rpartition(":")[2][:_DIGEST_CHARS],
        "date": f"{moment:%Y%m%d}",
        "time": f"{moment:%H%M%S}",
    }
    kept = _checked_tag(fill_template(template, values))
    if kept == tag:
        raise MappedTagInvalid(kept, "is the tag that is overwritten")
    return kept


def _checked_tag(tag: str) -> str:
    if not is_tag(tag):
        raise MappedTagInvalid(tag)
    return tag


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
