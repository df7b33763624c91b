"""What is Harbor's own, on a fake of it. What all adapters do alike is in tests/contract."""

import re
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest

from oci_client.testing import an_artifact, an_image, an_index, index_of
from oci_client.testing.effects import answer_with, with_header
from oci_client.testing.faults import Match
from registry_svc.adapters.base import Action, Listing, Query, Reference, RepositoryScope, Resource
from registry_svc.adapters.harbor import HarborAdapter
from registry_svc.domain.errors import (
    RegistryCredentialRejected,
    RegistryMisbehaved,
    RegistryUnreachable,
    TagDeletionUnsupported,
)
from registry_svc.domain.registry import Credential, Endpoint
from replication.filters import Action as FilterAction
from replication.filters import Dimension, FilterRule, Selection
from replication.matchers import Glob
from replication.newest import Newest, Order
from replication.rejection import Cause
from service_kit.secret import Secret
from tests.contract.adapter_stages import Sleeps
from tests.fakes.harbor import FakeHarbor

REPOSITORIES = r"/projects/[^/]+/repositories$"
ARTIFACTS = r"/artifacts$"
PROJECTS = r"/api/v2.0/projects$"


@pytest.fixture
async def harbor() -> AsyncIterator[FakeHarbor]:
    async with FakeHarbor() as harbor:
        yield harbor


@pytest.fixture
async def adapter(harbor: FakeHarbor) -> AsyncIterator[HarborAdapter]:
    async with opened(harbor) as adapter:
        yield adapter


@asynccontextmanager
async def opened(harbor: FakeHarbor, *, anonymous: bool = False) -> AsyncIterator[HarborAdapter]:
    credential = None if anonymous else Credential(username=harbor.username, password=Secret(harbor.password))
    endpoint = Endpoint(registry="registries/harbor", url=harbor.url, credential=credential)
    adapter = HarborAdapter(endpoint, sleep=Sleeps())
    yield adapter
    await adapter.aclose()


def name(glob: str) -> FilterRule:
    return FilterRule(dimension=Dimension.NAME, matcher=Glob(glob))


def label(glob: str, action: FilterAction = FilterAction.INCLUDE) -> FilterRule:
    return FilterRule(dimension=Dimension.LABEL, action=action, matcher=Glob(glob))


async def listed(adapter: HarborAdapter, *rules: FilterRule, **query: Any) -> Listing:
    """All batches as one."""
    found = Listing()
    async for batch in adapter.list_artifacts(Query(selection=Selection.compile(rules), **query)):
        found = Listing(
            resources=found.resources + batch.resources,
            failures=found.failures + batch.failures,
            rejections=found.rejections + batch.rejections,
        )
    return found


def tags(listing: Listing) -> list[str]:
    return sorted(f"{each.repository}:{one.tag}" for each in listing.resources for one in each.references)


def digests(listing: Listing) -> set[str]:
    return {one.digest for each in listing.resources for one in each.references}


def paths(harbor: FakeHarbor, pattern: str) -> list[dict[str, Sequence[str]]]:
    """Queries of the requests with such a path."""
    return [dict(each.query) for each in harbor.registry.requests if re.search(pattern, each.path)]


# Health


async def test_harbor_1_is_told_as_too_old(harbor: FakeHarbor, adapter: HarborAdapter) -> None:
    harbor.version = "v1.10"

    with pytest.raises(RegistryMisbehaved, match=r"Harbor 1\.x has to be updated"):
        await adapter.health_check()


async def test_an_api_of_the_future_is_told_with_its_name(harbor: FakeHarbor, adapter: HarborAdapter) -> None:
    harbor.version = "v3.0"

    with pytest.raises(RegistryMisbehaved, match=r"'v3\.0'"):
        await adapter.health_check()


async def test_a_broken_database_is_unhealthy_and_a_broken_scanner_is_not(
    harbor: FakeHarbor, adapter: HarborAdapter
) -> None:
    harbor.unhealthy = frozenset({"trivy"})
    await adapter.health_check()

    harbor.unhealthy = frozenset({"trivy", "database"})
    with pytest.raises(RegistryUnreachable, match="its database is not healthy"):
        await adapter.health_check()


async def test_a_password_that_is_no_longer_good_is_no_empty_harbor(harbor: FakeHarbor, adapter: HarborAdapter) -> None:
    """Harbor's API takes it for nobody; with that listing, a policy that prunes would delete everything private."""
    harbor.add_project("public", public=True)
    harbor.push_image("public/app", "1")
    harbor.push_image("private/app", "1", seed=1)
    assert tags(await listed(adapter)) == ["private/app:1", "public/app:1"]

    harbor.change_password("another")

    with pytest.raises(RegistryCredentialRejected):
        await listed(adapter)


async def test_a_robot_account_is_a_user_with_an_odd_name() -> None:
    async with FakeHarbor(username="robot$ci+replication", password="s3cret") as harbor, opened(harbor) as adapter:
        harbor.push_image("team/app", "1")

        await adapter.health_check()
        assert tags(await listed(adapter)) == ["team/app:1"]
        access = await adapter.issue_access([RepositoryScope(repository="team/app", actions=frozenset({Action.PULL}))])
        assert access.authorization.startswith("Bearer ")


async def test_nobody_sees_what_is_public(harbor: FakeHarbor) -> None:
    harbor.add_project("public", public=True)
    harbor.push_image("public/app", "1")
    harbor.push_image("private/app", "1")

    async with opened(harbor, anonymous=True) as adapter:
        assert tags(await listed(adapter)) == ["public/app:1"]


# Listing


async def test_digests_come_with_the_listing_so_that_an_unchanged_tag_costs_no_request(
    harbor: FakeHarbor, adapter: HarborAdapter
) -> None:
    """Harbor asks for the manifest of every tag each time (#19708, weakness 3 of its copy flow)."""
    expected = {harbor.push_image("team/app", f"t{number}", seed=number) for number in range(250)}

    assert digests(await listed(adapter)) == expected

    assert [each["page"] for each in paths(harbor, ARTIFACTS)] == [("1",), ("2",), ("3",)]
    assert {each["page_size"] for each in paths(harbor, ARTIFACTS)} == {("100",)}
    assert paths(harbor, "/manifests/") == []


async def test_slashes_of_a_repository_are_escaped_twice(harbor: FakeHarbor, adapter: HarborAdapter) -> None:
    harbor.push_image("team/a/b/c", "1")

    assert tags(await listed(adapter)) == ["team/a/b/c:1"]
    assert tags(await listed(adapter, name("team/a/b/c"))) == ["team/a/b/c:1"]


@pytest.mark.parametrize("dropped", [["Link"], ["X-Total-Count"], ["Link", "X-Total-Count"]])
async def test_headers_of_paging_may_be_lost_on_the_way(
    harbor: FakeHarbor, adapter: HarborAdapter, dropped: Sequence[str]
) -> None:
    expected = [f"team/app:t{number}" for number in range(200)]
    for number in range(200):
        harbor.push_image("team/app", f"t{number}", seed=number)
    for header in dropped:
        harbor.registry.misbehave(with_header(header), match=Match(path=ARTIFACTS))

    assert tags(await listed(adapter)) == sorted(expected)


async def test_a_link_to_another_host_is_not_followed(harbor: FakeHarbor, adapter: HarborAdapter) -> None:
    for number in range(150):
        harbor.push_image("team/app", f"t{number}", seed=number)
    link = '<http://10.0.0.1/api/v2.0/other?page=2>; rel="next"'
    harbor.registry.misbehave(with_header("Link", link), match=Match(path=ARTIFACTS), times=1)

    assert len(tags(await listed(adapter))) == 150


async def test_a_list_that_never_ends_is_a_failure(harbor: FakeHarbor, adapter: HarborAdapter) -> None:
    harbor.push_image("team/app", "1")
    page = b'[{"digest": "sha256:' + b"0" * 64 + b'", "tags": [{"name": "1"}]}]'
    endless = answer_with(200, body=page, headers={"X-Total-Count": "1000000"})
    harbor.registry.misbehave(endless, match=Match(path=ARTIFACTS))

    assert [each.failure.reason for each in (await listed(adapter)).failures] == ["ENDLESS_PAGING"]


async def test_a_proxy_cache_is_passed_over_at_the_source(harbor: FakeHarbor, adapter: HarborAdapter) -> None:
    harbor.add_project("cache", registry_id=1)
    harbor.push_image("cache/nginx", "1")
    harbor.push_image("team/app", "1")

    searched = await listed(adapter, include_rejected=True)
    named = await listed(adapter, name("{cache/nginx,team/app}"), include_rejected=True)

    assert tags(searched) == tags(named) == ["team/app:1"]
    assert [(each.repository, each.why.cause) for each in searched.rejections] == [("cache", Cause.NOT_REPLICATED)]
    assert [(each.repository, each.why.cause) for each in named.rejections] == [("cache/nginx", Cause.NOT_REPLICATED)]
    assert not [each for each in harbor.registry.requests if "/projects/cache/" in each.path]


async def test_accessories_are_no_artifacts_of_their_own(harbor: FakeHarbor, adapter: HarborAdapter) -> None:
    """Also when they were pushed last and so stand pages before what they are about, and when they have a tag."""
    image = an_image((16,), seed=500)
    harbor.push("team/app", image, "signed")
    signature = an_artifact("application/vnd.dev.cosign.artifact.sig.v1+json", subject=image)
    harbor.push("team/app", signature, f"sha256-{image.digest.removeprefix('sha256:')}.sig", days=9)
    harbor.push("team/app", an_artifact("application/spdx+json", subject=image, seed=1), days=9)
    for number in range(150):
        harbor.push_image("team/app", f"t{number}", seed=number, days=1)

    assert tags(await listed(adapter)) == sorted(["team/app:signed", *(f"team/app:t{number}" for number in range(150))])


async def test_an_untagged_artifact_comes_by_its_digest_and_children_of_an_index_do_not(
    harbor: FakeHarbor, adapter: HarborAdapter
) -> None:
    index, bare = harbor.push("team/app", an_index(), "multi"), harbor.push_image("team/app", seed=7)

    found = await listed(adapter)

    assert tags(found) == ["team/app:", "team/app:multi"]
    assert digests(found) == {index, bare}


async def test_every_including_label_has_to_be_there_and_no_excluding_one(
    harbor: FakeHarbor, adapter: HarborAdapter
) -> None:
    harbor.push_image("team/app", "both", seed=1, labels=["prod", "signed"])
    harbor.push_image("team/app", "one", seed=2, labels=["prod"])
    harbor.push_image("team/app", "bad", seed=3, labels=["prod", "signed", "broken"])
    harbor.push_image("team/app", "none", seed=4)

    excluded = label("broken", FilterAction.EXCLUDE)
    assert tags(await listed(adapter, label("prod"), label("sign*"), excluded)) == ["team/app:both"]
    assert tags(await listed(adapter, excluded)) == ["team/app:both", "team/app:none", "team/app:one"]


async def test_types_are_those_of_the_listing_in_lower_case(harbor: FakeHarbor, adapter: HarborAdapter) -> None:
    harbor.push_image("team/app", "1")
    harbor.push_chart("team/chart", "0.1.0")
    charts = FilterRule(dimension=Dimension.RESOURCE_TYPE, matcher=Glob("chart"))

    assert tags(await listed(adapter, charts)) == ["team/chart:0.1.0"]


async def test_newest_is_by_the_push_of_the_tag(harbor: FakeHarbor, adapter: HarborAdapter) -> None:
    """A tag that was put on an old image later is new."""
    built = an_image((16,))
    harbor.push("team/app", built, "old")
    harbor.push_image("team/app", "between", seed=1, days=1)
    harbor.push("team/app", built, "again", days=2)

    newest = Newest(order=Order.CREATE_TIME, count=2)
    assert tags(await listed(adapter, newest=newest)) == ["team/app:again", "team/app:between"]


async def test_public_is_told_of_each_repository(harbor: FakeHarbor, adapter: HarborAdapter) -> None:
    harbor.add_project("open", public=True)
    harbor.push_image("open/app", "1")
    harbor.push_image("team/app", "1")

    searched, named = await listed(adapter), await listed(adapter, name("{open,team}/app"))

    expected = {"open/app": True, "team/app": False}
    for found in (searched, named):
        assert {each.repository: each.public for each in found.resources} == expected


async def test_only_projects_that_may_match_are_searched(harbor: FakeHarbor, adapter: HarborAdapter) -> None:
    """A search through all projects for one of them took minutes (#16535)."""
    for project in ("123", "team", "other"):
        harbor.push_image(f"{project}/app", "1")

    assert tags(await listed(adapter, name("{team,123,none}/**"))) == ["123/app:1", "team/app:1"]

    assert [each["q"] for each in paths(harbor, PROJECTS)] == [("name={'team' '123' 'none'}",)]
    assert len(paths(harbor, REPOSITORIES)) == 2


async def test_a_project_that_is_not_there_is_no_reason_to_search_all(
    harbor: FakeHarbor, adapter: HarborAdapter
) -> None:
    """Harbor falls back to listing every project (its section 3.1)."""
    harbor.push_image("team/app", "1")

    assert (await listed(adapter, name("none/**"))).resources == ()
    [failed] = (await listed(adapter, name("none/app"))).failures

    assert failed.failure.reason == "REPOSITORY_UNKNOWN"
    assert [each["q"] for each in paths(harbor, PROJECTS)] == [("name={'none'}",)] * 2
    assert paths(harbor, REPOSITORIES) == []


async def test_many_projects_come_in_pages(harbor: FakeHarbor, adapter: HarborAdapter) -> None:
    for number in range(150):
        harbor.push_image(f"p{number}/app", "1")

    assert len(tags(await listed(adapter))) == 150
    assert len(paths(harbor, PROJECTS)) == 2


async def test_a_project_that_cannot_be_listed_fails_alone(harbor: FakeHarbor, adapter: HarborAdapter) -> None:
    """One repository that answers 404 kills the whole run of Harbor (its PR #20882 was closed)."""
    harbor.push_image("bad/app", "1")
    harbor.push_image("team/app", "1")
    harbor.registry.misbehave(answer_with(500), match=Match(path="/projects/bad/repositories$"))

    found = await listed(adapter)

    assert tags(found) == ["team/app:1"]
    assert [(each.repository, each.failure.reason) for each in found.failures] == [("bad", "REGISTRY_FAULT")]


async def test_an_index_of_an_event_is_found_by_its_digest(harbor: FakeHarbor, adapter: HarborAdapter) -> None:
    digest = harbor.push("team/app", index_of([an_image((16,))]), "multi", "other", labels=["prod"])
    within = (Resource(repository="team/app", references=(Reference(tag="", digest=digest),)),)

    assert tags(await listed(adapter, label("prod"), within=within)) == ["team/app:multi", "team/app:other"]
    assert tags(await listed(adapter, label("dev"), within=within)) == []
    twice = (*within, Resource(repository="team/app", references=(Reference(tag="multi"),)))
    assert tags(await listed(adapter, within=twice)) == ["team/app:multi", "team/app:other"]


async def test_parts_of_an_image_and_signatures_are_no_artifacts_of_an_event(
    harbor: FakeHarbor, adapter: HarborAdapter
) -> None:
    index = an_index()
    signature = an_artifact(subject=index)
    alone = harbor.push("team/app", an_image((16,), seed=9))
    for each in (*index.children, signature):
        harbor.push("team/app", each)
    harbor.push("team/app", index, "1")
    told = (*(each.digest for each in index.children), signature.digest, alone)
    within = (Resource(repository="team/app", references=tuple(Reference(tag="", digest=each) for each in told)),)

    [resource] = (await listed(adapter, within=within)).resources

    assert [each.digest for each in resource.references] == [alone]


# Preparing


@pytest.mark.parametrize("public", [False, True])
async def test_missing_projects_are_made_once_with_their_flag(
    harbor: FakeHarbor, adapter: HarborAdapter, public: bool
) -> None:
    harbor.add_project("there", public=not public)

    prepared = await adapter.prepare(["new/a", "new/b", "there/a"], public=public, validate_only=False)

    assert (prepared.created_namespaces, prepared.failures) == (("new",), ())
    assert {name: each.public for name, each in harbor.projects.items()} == {"new": public, "there": not public}
    assert harbor.registry.log.count(method="POST") == 1


async def test_a_project_that_is_not_shown_is_there_all_the_same(harbor: FakeHarbor, adapter: HarborAdapter) -> None:
    """Harbor 1.10 asks for the creation of every project, and robots got 403 (#13795 #16863)."""
    harbor.add_project("hidden", hidden=True)

    prepared = await adapter.prepare(["hidden/app"], public=False, validate_only=False)

    assert (prepared.created_namespaces, prepared.failures, prepared.excluded) == ((), (), ())


async def test_who_may_not_create_needs_no_right_for_what_is_there() -> None:
    async with FakeHarbor(username="robot$push", creates_projects=False) as harbor, opened(harbor) as adapter:
        harbor.add_project("there")
        prepared = await adapter.prepare(["there/app", "new/a", "new/b"], public=False, validate_only=False)

    told = [(each.repository, each.failure.reason, dict(each.failure.metadata)) for each in prepared.failures]
    expected = ("NAMESPACE_NOT_CREATED", {"namespace": "new"})
    assert told == [("new/a", *expected), ("new/b", *expected)]
    assert prepared.created_namespaces == ()
    assert prepared.failures[0].failure.http_status == 403


async def test_a_proxy_cache_is_excluded_at_the_destination(harbor: FakeHarbor, adapter: HarborAdapter) -> None:
    """Parity 11: no task, and no failure."""
    harbor.add_project("cache", registry_id=1)

    for validate_only in (True, False):
        prepared = await adapter.prepare(["cache/app"], public=False, validate_only=validate_only)
        [excluded] = prepared.excluded
        assert (excluded.repository, excluded.failure.reason) == ("cache/app", "PROXY_CACHE_PROJECT")
        assert excluded.failure.metadata == {"project": "cache"}
        assert (prepared.failures, prepared.created_namespaces) == ((), ())


async def test_a_repository_without_a_project_is_told(adapter: HarborAdapter) -> None:
    [failed] = (await adapter.prepare(["nginx"], public=False, validate_only=False)).failures

    assert failed.failure.reason == "PATH_RULE_VIOLATED"


async def test_one_project_that_cannot_be_made_does_not_keep_the_others_back(
    harbor: FakeHarbor, adapter: HarborAdapter
) -> None:
    prepared = await adapter.prepare(["bad--name/a", "good/a"], public=False, validate_only=False)

    assert [(each.repository, each.failure.reason) for each in prepared.failures] == [
        ("bad--name/a", "REQUEST_REFUSED")
    ]
    assert prepared.created_namespaces == ("good",)


# Deleting


async def test_a_tag_is_deleted_by_its_name_and_never_by_the_digest(harbor: FakeHarbor, adapter: HarborAdapter) -> None:
    """Harbor deletes by digest where it can, and the tags that share it go too (#19358)."""
    harbor.push_image("team/a/b", "1", "same")

    await adapter.delete_tag("team/a/b", "1")

    assert tags(await listed(adapter)) == ["team/a/b:same"]
    [deletion] = harbor.registry.log.select(method="DELETE")
    assert deletion.path.endswith("/repositories/a%2Fb/artifacts/1/tags/1")


async def test_a_tag_that_a_rule_keeps_is_told(harbor: FakeHarbor, adapter: HarborAdapter) -> None:
    harbor.push_image("team/app", "1")
    harbor.registry.misbehave(answer_with(412, code="PRECONDITION"), match=Match(method="DELETE"))

    with pytest.raises(TagDeletionUnsupported):
        await adapter.delete_tag("team/app", "1")
