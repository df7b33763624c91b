"""Mapping: Harbor's replace count, templates and rewrites, tags, the destination's path rule, and no two in one place."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from replication.collisions import Collision, CollisionDetector, Placement, find_collisions
from replication.mapping import (
    ALL_BUT_LAST,
    BACKUP_TAG_NAMES,
    MappedTagInvalid,
    Mapping,
    MappingInvalid,
    PathRule,
    PathRuleViolated,
    ReplaceCountTooLarge,
    backup_tag,
)
from replication.names import is_repository_name, is_tag
from replication.rewriting import RegexRewrite
from replication.templates import MAX_TEMPLATE_CHARS, TemplateInvalid, check_template, fill_template


def rewritten(source: str, regex: str, replacement: str) -> str:
    rewrite = RegexRewrite(regex=regex, replacement=replacement)
    return Mapping(rewrite=rewrite).map_repository(source, registry="hub")


@pytest.mark.parametrize(
    ("mapping", "source", "mapped"),
    [
        (Mapping(), "library/nginx", "library/nginx"),
        (Mapping(namespace="mirror"), "a/b/c/image", "mirror/image"),
        (Mapping(namespace="team/mirror"), "image", "team/mirror/image"),
        (Mapping(repository="web"), "library/nginx", "web"),
        (Mapping(replace_count=2), "a/b/c", "a/b/c"),
        (Mapping(template="mirror/{registry}/{path}"), "a/b/image", "mirror/hub/a/b/image"),
        (Mapping(template="{namespace}/x/{name}"), "a/b/image", "a/b/x/image"),
        (Mapping(template="{namespace}/x/{name}"), "image", "x/image"),
        (Mapping(template="m/{namespace}/{name}"), "image", "m/image"),
        (Mapping(template="{name}-{registry}"), "a/image", "image-hub"),
    ],
)
def test_mapping(mapping: Mapping, source: str, mapped: str) -> None:
    assert mapping.map_repository(source, registry="hub") == mapped


@pytest.mark.parametrize(
    ("source", "count", "mapped"),
    [
        ("a/b/c/image", ALL_BUT_LAST, "n/image"),
        ("a/b/c/image", 0, "n/a/b/c/image"),
        ("a/b/c/image", 1, "n/b/c/image"),
        ("a/b/c/image", 2, "n/c/image"),
        ("a/b/c/image", 3, "n/image"),
        ("image", ALL_BUT_LAST, "n/image"),
        ("image", 0, "n/image"),
    ],
)
def test_the_replace_count_is_harbors(source: str, count: int, mapped: str) -> None:
    assert Mapping(namespace="n", replace_count=count).map_repository(source, registry="hub") == mapped


@pytest.mark.parametrize(("source", "count"), [("a/b/c/image", 4), ("image", 1), ("a/b", 127)])
def test_more_to_replace_than_there_is_is_an_error_of_that_repository(source: str, count: int) -> None:
    with pytest.raises(ReplaceCountTooLarge, match="components") as caught:
        Mapping(namespace="n", replace_count=count).map_repository(source, registry="hub")

    assert (caught.value.repository, caught.value.replace_count) == (source, count)


@pytest.mark.parametrize(
    ("source", "mapping", "name"),
    [
        ("Library/nginx", Mapping(), "Library/nginx"),
        ("a//b", Mapping(), "a//b"),
        ("", Mapping(), ""),
        ("a/b\n", Mapping(namespace="m"), "m/b\n"),
        ("x", Mapping(namespace="n" * 254), "n" * 254 + "/x"),
        ("nginx", Mapping(namespace="Mirror"), "Mirror/nginx"),
        ("nginx", Mapping(template="{namespace}-{name}"), "-nginx"),
        ("nginx", Mapping(template="{namespace}"), ""),
        ("nginx", Mapping(template="{{{name}}}"), "{nginx}"),
        ("nginx", Mapping(rewrite=RegexRewrite(regex="(x?).*", replacement=r"\1")), ""),
        ("nginx", Mapping(rewrite=RegexRewrite(regex="n(.*)", replacement=r"\1/")), "ginx/"),
    ],
)
def test_a_name_that_the_specification_forbids_is_refused(source: str, mapping: Mapping, name: str) -> None:
    with pytest.raises(MappingInvalid) as caught:
        mapping.map_repository(source, registry="hub")

    assert caught.value.repository == name


@pytest.mark.parametrize(
    ("source", "regex", "replacement", "mapped"),
    [
        ("team-a/web", r"team-(\w+)/(.*)", r"\1/mirror/\2", "a/mirror/web"),
        ("team-a/web", r"team-a", "x", "team-a/web"),
        ("a/b", r"(.*)/(.*)", r"\2/\1", "b/a"),
        ("a/b", ".*", r"copies/\0", "copies/a/b"),
        ("a", "(a)(b)?", r"\1\2x", "ax"),
        ("a", r"\C", r"\0", "a"),
        ("a" * 10, "(a)" * 10, r"\10", "a0"),
    ],
)
def test_rewriting(source: str, regex: str, replacement: str, mapped: str) -> None:
    assert rewritten(source, regex, replacement) == mapped


@pytest.mark.parametrize("regex", ["(a+)+b", "((.*)/)*x", r"(\w|\d|_|-)*!"])
def test_rewriting_takes_a_look_whatever_the_expression(regex: str) -> None:
    source = "a" * 255

    assert rewritten(source, regex, r"\1") == source


def test_a_rewrite_that_grows_beyond_a_name_is_refused() -> None:
    with pytest.raises(MappingInvalid):
        rewritten("a" * 255, ".*", r"\0" * 256)


@pytest.mark.parametrize(
    ("tag", "repository", "template", "mapped"),
    [
        ("v1", "a/b/web", "", "v1"),
        ("v1", "a/b/web", "{name}-{tag}", "web-v1"),
        ("v1", "a/b/web", "{registry}.{namespace}.{name}.{tag}", "hub.a-b.web.v1"),
        ("v1", "web", "{namespace}{tag}", "v1"),
        ("v1", "web", "latest", "latest"),
        ("", "web", "{name}-{tag}", ""),
        ("", "web", "", ""),
    ],
)
def test_tags_are_mapped(tag: str, repository: str, template: str, mapped: str) -> None:
    assert Mapping(tag=template).map_tag(tag, repository=repository, registry="hub") == mapped


@pytest.mark.parametrize(
    ("repository", "template", "mapped"),
    [
        ("web", "{namespace}-{tag}", "-v1"),
        ("web", "{name}/{tag}", "web/v1"),
        ("web", "{name}:{tag}", "web:v1"),
        ("web", "é{tag}", "év1"),
        ("w" * 127, "{name}{tag}", "w" * 127 + "v1"),
        ("web", "{namespace}", ""),
    ],
)
def test_a_mapped_tag_that_is_none_is_refused(repository: str, template: str, mapped: str) -> None:
    with pytest.raises(MappedTagInvalid) as caught:
        Mapping(tag=template).map_tag("v1", repository=repository, registry="hub")

    assert caught.value.tag == mapped


def test_a_backup_tag_has_its_time_in_utc_and_a_short_digest() -> None:
    now = datetime(2026, 11, 25, 1, 30, 7, tzinfo=timezone(timedelta(hours=2)))
    digest = "sha256:" + "0123456789abcdef" * 4

    kept = backup_tag("{tag}-before-{date}-{time}-{digest}", tag="v1", digest=digest, now=now)

    assert kept == "v1-before-20261124-233007-0123456789ab"


@pytest.mark.parametrize(
    ("template", "why"), [("{tag}", "overwritten"), ("{tag}:old", "not a tag"), ("v1", "overwritten")]
)
def test_a_backup_tag_is_another_tag(template: str, why: str) -> None:
    with pytest.raises(MappedTagInvalid, match=why):
        backup_tag(template, tag="v1", digest="sha256:00", now=datetime.now(UTC))


@pytest.mark.parametrize(
    ("mapping", "fields"),
    [
        (Mapping(), []),
        (Mapping(namespace="n", replace_count=3, tag="{name}-{tag}"), []),
        (Mapping(template="{tag}"), ["template"]),
        (Mapping(template="{path", tag="{digest}"), ["template", "tag"]),
        (Mapping(rewrite=RegexRewrite(regex="(", replacement="x")), ["rewrite.regex"]),
        (Mapping(rewrite=RegexRewrite(regex="(a)", replacement=r"\1\2")), ["rewrite.replacement"]),
        (Mapping(rewrite=RegexRewrite(regex="a", replacement=r"a\n")), ["rewrite.replacement"]),
        (Mapping(rewrite=RegexRewrite(regex="a", replacement="a\\")), ["rewrite.replacement"]),
        (Mapping(rewrite=RegexRewrite(regex="a", replacement="a" * 513)), ["rewrite.replacement"]),
    ],
)
def test_mistakes_name_their_fields(mapping: Mapping, fields: list[str]) -> None:
    assert [field for field, _ in mapping.mistakes()] == fields


@pytest.mark.parametrize(
    ("mapping", "keeps"),
    [
        (Mapping(tag="{tag}"), True),
        (Mapping(namespace="n"), False),
        (Mapping(repository="r"), False),
        (Mapping(template="{path}"), False),
        (Mapping(rewrite=RegexRewrite(regex="a", replacement="b")), False),
    ],
)
def test_whether_repositories_keep_their_names(mapping: Mapping, keeps: bool) -> None:
    assert mapping.keeps_repositories is keeps


@pytest.mark.parametrize(
    ("template", "position", "why"),
    [
        ("{tag}-{day}", 6, r"no \{day\} here; there is \{date\}, \{digest\}, \{tag\}, \{time\}"),
        ("a{", 1, "written as {{"),
        ("a}b", 1, "written as }}"),
        ("{}", 0, "written as"),
        ("{tag!r}", 0, "written as"),
        ("{tag:>9}", 0, "written as"),
        ("{tag.__class__}", 0, "written as"),
        ("{0}", 0, "written as"),
        ("{TAG}", 0, "written as"),
        ("a" * (MAX_TEMPLATE_CHARS + 1), MAX_TEMPLATE_CHARS, "longer"),
    ],
)
def test_a_bad_template_is_refused_with_its_place(template: str, position: int, why: str) -> None:
    with pytest.raises(TemplateInvalid, match=why) as caught:
        check_template(template, BACKUP_TAG_NAMES)

    assert (caught.value.pattern, caught.value.position) == (template, position)


def test_a_value_is_never_read_as_a_template() -> None:
    assert fill_template("{{{a}}}{b}", {"a": "{b}", "b": "}}"}) == "{{b}}}}"


_components = st.from_regex(r"[a-z0-9]{1,4}([._-][a-z0-9]{1,4})?", fullmatch=True)
_names = st.lists(_components, min_size=1, max_size=5).map("/".join)


@given(source=_names, namespace=_names, count=st.integers(ALL_BUT_LAST, 5))
def test_a_namespace_replaces_what_the_count_says_and_loses_nothing_else(
    source: str, namespace: str, count: int
) -> None:
    parts = source.split("/")
    try:
        mapped = Mapping(namespace=namespace, replace_count=count).map_repository(source, registry="hub")
    except ReplaceCountTooLarge:
        assert count > len(parts) - 1
        return

    lost = len(parts) - 1 if count == ALL_BUT_LAST else count
    assert mapped.split("/") == namespace.split("/") + parts[lost:]


@given(source=_names, before=st.lists(_components, max_size=3), after=st.lists(_components, max_size=3))
def test_a_template_with_the_path_loses_no_component(source: str, before: list[str], after: list[str]) -> None:
    for pieces in (["{path}"], ["{namespace}", "{name}"], ["{registry}", "{namespace}", "{name}", "{path}"]):
        template = "/".join([*before, *pieces, *after])
        mapped = Mapping(template=template).map_repository(source, registry="hub").split("/")

        inside = mapped[len(before) : len(mapped) - len(after)]
        expected = source.split("/")
        assert (mapped[: len(before)], mapped[len(mapped) - len(after) :]) == (before, after)
        assert inside == (expected if len(pieces) < 4 else ["hub", *expected, *expected])


@given(source=_names)
def test_a_rewrite_to_all_of_it_is_the_name(source: str) -> None:
    assert rewritten(source, r"([^/]+)(/.*)?", r"\1\2") == rewritten(source, ".*", r"\0") == source


_free = st.text(max_size=12) | st.text("ab/-.{}\\01", max_size=12)


@given(source=_free, template=_free, tag=_free)
def test_whatever_comes_out_is_a_name_and_a_tag(source: str, template: str, tag: str) -> None:
    assume(template and tag)
    mapping = Mapping(template=template, tag=template)
    try:
        repository = mapping.map_repository(source, registry="hub")
    except (TemplateInvalid, MappingInvalid):
        repository = "a"
    try:
        mapped = mapping.map_tag(tag, repository=source, registry="hub")
    except (TemplateInvalid, MappedTagInvalid):
        mapped = "a"

    assert is_repository_name(repository)
    assert is_tag(mapped)


@pytest.mark.parametrize(
    ("rule", "accepted", "refused", "words"),
    [
        (PathRule(), ["a", "a/b/c"], [], "at least 1 path components"),
        (PathRule(min_components=2), ["a/b", "a/b/c"], ["a"], "at least 2 path components"),
        (PathRule(min_components=2, max_components=2), ["a/b"], ["a", "a/b/c"], "exactly 2 path components"),
        (PathRule(min_components=1, max_components=2), ["a", "a/b"], ["a/b/c"], "1 to 2 path components"),
    ],
)
def test_path_rule(rule: PathRule, accepted: list[str], refused: list[str], words: str) -> None:
    for name in accepted:
        rule.check(name)
    for name in refused:
        with pytest.raises(PathRuleViolated) as caught:
            rule.check(name)
        assert (caught.value.repository, caught.value.rule) == (name, words)
    assert str(rule) == words


def placed(source: str, *, registry: str = "registries/b", repository: str = "m/nginx") -> Placement:
    return Placement(source=source, registry=registry, repository=repository)


def test_a_collision_is_told_as_soon_as_it_happens_and_names_all_sources() -> None:
    detector = CollisionDetector()

    told = [detector.add(placed(source)) for source in ("a/nginx", "b/nginx", "c/nginx", "b/nginx", "a/nginx")]

    assert told == [None, "a/nginx", "a/nginx", "a/nginx", None]
    assert [each.sources for each in detector.collisions()] == [("a/nginx", "b/nginx", "c/nginx")]


def test_more_tags_of_one_repository_do_not_collide() -> None:
    assert find_collisions([placed("a/nginx"), placed("a/nginx")]) == []


def test_one_repository_may_go_to_many_places_and_one_name_to_many_registries() -> None:
    placements = [
        placed("a/nginx"),
        placed("b/nginx", registry="registries/c"),
        placed("a/nginx", repository="elsewhere"),
    ]

    assert find_collisions(placements) == []


def test_collisions_are_found_for_each_destination() -> None:
    found = find_collisions([placed("a/nginx"), placed("x", repository="y"), placed("b/nginx")])

    assert found == [Collision(registry="registries/b", repository="m/nginx", sources=("a/nginx", "b/nginx"))]
