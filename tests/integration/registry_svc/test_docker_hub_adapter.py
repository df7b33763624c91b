"""What is Docker Hub's own, on a fake of it. What all adapters do alike is in tests/contract."""

import asyncio
import re
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from oci_client.testing import an_image, index_of
from oci_client.testing.effects import answer_with, with_header
from oci_client.testing.faults import Match
from registry_svc.adapters.base import Action, Listing, Query, Reference, RepositoryScope, Resource
from registry_svc.adapters.docker_hub import DOCKER_HUB, DOCKER_HUB_HOSTS, DockerHubAdapter, Hosts
from registry_svc.domain.errors import CatalogUnsupported, RegistryCredentialRejected
from registry_svc.domain.registry import Credential, Endpoint
from replication.filters import Dimension, FilterRule, Selection
from replication.matchers import Glob
from service_kit.secret import Secret
from tests.contract.adapter_stages import Sleeps
from tests.fakes.docker_hub import FakeDockerHub

TAGS = "/tags$"
REPOSITORIES = r"^/v2/namespaces/[^/]+/repositories$"


@pytest.fixture
async def hub() -> AsyncIterator[FakeDockerHub]:
    async with FakeDockerHub() as hub:
        yield hub


@pytest.fixture
def sleeps() -> Sleeps:
    return Sleeps()


@pytest.fixture
async def adapter(hub: FakeDockerHub, sleeps: Sleeps) -> AsyncIterator[DockerHubAdapter]:
    async with opened(hub, sleeps) as adapter:
        yield adapter


@asynccontextmanager
async def opened(
    hub: FakeDockerHub, sleeps: Sleeps | None = None, *, anonymous: bool = False
) -> AsyncIterator[DockerHubAdapter]:
    credential = None if anonymous else Credential(username=hub.username, password=Secret(hub.password))
    endpoint = Endpoint(registry="registries/hub", url=DOCKER_HUB.urls[0], credential=credential)
    hosts = Hosts(api=hub.api.url, registry=hub.registry.url)
    adapter = DockerHubAdapter(endpoint, hosts=hosts, sleep=sleeps or Sleeps())
    yield adapter
    await adapter.aclose()


async def listed(adapter: DockerHubAdapter, *globs: str, **query: Any) -> Listing:
    """All batches as one."""
    rules = [FilterRule(dimension=Dimension.NAME, matcher=Glob(glob)) for glob in globs]
    found = Listing()
    async for batch in adapter.list_artifacts(Query(selection=Selection.compile(rules), **query)):
        found = Listing(resources=found.resources + batch.resources, failures=found.failures + batch.failures)
    return found


def tags(listing: Listing) -> list[str]:
    return sorted(f"{each.repository}:{one.tag}" for each in listing.resources for one in each.references)


def asked(hub: FakeDockerHub, pattern: str) -> int:
    return len([each for each in hub.api.requests if re.search(pattern, each.path)])


@pytest.mark.parametrize(
    "url", ["https://hub.docker.com", "https://docker.io", "https://registry-1.docker.io", "https://index.docker.io"]
)
async def test_whatever_it_is_called_its_hosts_are_the_same(url: str) -> None:
    adapter = DockerHubAdapter(Endpoint(registry="registries/hub", url=url))

    assert (await adapter.issue_access([])).url == DOCKER_HUB_HOSTS.registry == "https://registry-1.docker.io"
    assert DOCKER_HUB_HOSTS.api == "https://hub.docker.com"
    await adapter.aclose()


async def test_each_host_sees_its_own_authorization_only(hub: FakeDockerHub, adapter: DockerHubAdapter) -> None:
    hub.push_image("team/app", "1")
    scopes = [RepositoryScope(repository="team/app", actions=frozenset({Action.PULL}))]

    await listed(adapter, "team/*")
    access = await adapter.issue_access(scopes)

    sent = {each.headers.get("Authorization", "").removeprefix("Bearer ") for each in hub.api.requests}
    assert sent - hub.tokens == {""}
    assert access.authorization.removeprefix("Bearer ") not in hub.tokens
    assert {each.path for each in hub.registry.requests} == {"/v2/", "/token"}


# Tokens


async def test_one_login_serves_many_requests(hub: FakeDockerHub, adapter: DockerHubAdapter) -> None:
    for number in range(30):
        hub.push_image(f"team/r{number}", "1")

    await listed(adapter, "team/**")
    await listed(adapter, "team/**")

    assert hub.tokens_issued == 1


async def test_an_expired_token_is_renewed_once_for_all_who_meet_it(
    hub: FakeDockerHub, adapter: DockerHubAdapter
) -> None:
    names = [f"team/r{number}" for number in range(30)]
    for name in names:
        hub.push_image(name, "1")
    await listed(adapter, "team/r0")
    hub.expire_tokens()
    hub.api.latency_s = 0.02

    found = await listed(adapter, f"{{{','.join(names)}}}")

    assert (len(found.resources), found.failures) == (30, ())
    assert hub.tokens_issued == 2


async def test_a_refused_login_is_a_refused_credential(hub: FakeDockerHub, adapter: DockerHubAdapter) -> None:
    hub.password = "changed"

    with pytest.raises(RegistryCredentialRejected):
        await listed(adapter, "team/**")


async def test_nobody_sends_no_authorization(hub: FakeDockerHub) -> None:
    """Harbor sends an empty `Bearer ` (its section 3.2)."""
    hub.push_image("team/app", "1")
    hub.push_image("team/secret", "1")
    hub.private.add("team/secret")

    async with opened(hub, anonymous=True) as adapter:
        await adapter.health_check()
        assert tags(await listed(adapter, "team/**")) == ["team/app:1"]
        assert tags(await listed(adapter, "team/app")) == ["team/app:1"]

    assert [each for each in hub.api.requests if "Authorization" in each.headers] == []


# Listing


async def test_a_named_repository_is_the_only_one_that_is_asked_for(
    hub: FakeDockerHub, adapter: DockerHubAdapter
) -> None:
    """Harbor lists every repository of the namespace, and runs into 429 (#19967)."""
    for number in range(20):
        hub.push_image(f"library/r{number}", "1")
    hub.push_image("library/nginx", *(f"t{number}" for number in range(150)))

    assert len(tags(await listed(adapter, "library/nginx"))) == 150

    assert (asked(hub, REPOSITORIES), asked(hub, TAGS), len(hub.api.requests)) == (0, 2, 3)


async def test_an_official_image_is_hinted_at(adapter: DockerHubAdapter) -> None:
    [failed] = (await listed(adapter, "nginx")).failures

    assert (failed.failure.reason, "library/nginx" in failed.failure.message) == ("REPOSITORY_UNKNOWN", True)


async def test_only_namespaces_that_may_match_are_searched(hub: FakeDockerHub, adapter: DockerHubAdapter) -> None:
    hub.push_image("team/app", "1")
    hub.push_image("other/app", "1")

    assert tags(await listed(adapter, "{team,none}/**")) == ["team/app:1"]
    assert {each.path for each in hub.api.requests if "tags" not in each.path} == {
        "/v2/auth/token",
        "/v2/namespaces/team/repositories",
        "/v2/namespaces/none/repositories",
    }


async def test_without_names_ones_own_namespaces_are_searched(hub: FakeDockerHub, adapter: DockerHubAdapter) -> None:
    hub.organisations |= {"mine": True, "theirs": False}
    for namespace in ("someone", "mine", "theirs"):
        hub.push_image(f"{namespace}/app", "1")

    assert tags(await listed(adapter)) == ["mine/app:1", "someone/app:1"]


async def test_nobody_has_no_namespaces_to_search(hub: FakeDockerHub) -> None:
    async with opened(hub, anonymous=True) as adapter:
        with pytest.raises(CatalogUnsupported):
            await listed(adapter, "**/app")


async def test_many_repositories_come_in_pages(hub: FakeDockerHub, adapter: DockerHubAdapter) -> None:
    for number in range(150):
        hub.push_image(f"team/r{number}", "1")

    assert len(tags(await listed(adapter, "team/**"))) == 150
    assert asked(hub, REPOSITORIES) == 2


async def test_private_is_told_of_what_was_searched(hub: FakeDockerHub, adapter: DockerHubAdapter) -> None:
    hub.push_image("team/open", "1")
    hub.push_image("team/secret", "1")
    hub.private.add("team/secret")

    found = await listed(adapter, "team/**")
    [named] = (await listed(adapter, "team/secret")).resources

    assert {each.repository: each.public for each in found.resources} == {"team/open": True, "team/secret": False}
    assert named.public is None


async def test_a_tag_without_a_digest_is_not_named_by_its_image(hub: FakeDockerHub, adapter: DockerHubAdapter) -> None:
    """An index of one platform has one image, and another digest than that image."""
    hub.push("team/app", index_of([an_image((16,))]), "old")
    hub.legacy.add(("team/app", "old"))

    [resource] = (await listed(adapter, "team/app")).resources

    assert resource.references == (Reference(tag="old"),)


async def test_a_last_page_that_is_deleted_meanwhile_is_the_end(hub: FakeDockerHub, adapter: DockerHubAdapter) -> None:
    hub.push_image("team/app", *(f"t{number}" for number in range(150)))
    hub.api.misbehave(answer_with(404), match=Match(path=TAGS), skip=1)

    found = await listed(adapter, "team/app")

    assert (len(tags(found)), found.failures) == (100, ())


async def test_the_address_of_the_next_page_is_not_trusted(hub: FakeDockerHub, adapter: DockerHubAdapter) -> None:
    page = b'{"next": "http://10.0.0.1/steal", "results": [{"name": "first"}]}'
    hub.push_image("team/app", "1")
    hub.api.misbehave(answer_with(200, body=page), match=Match(path=TAGS), times=1)
    hub.api.misbehave(answer_with(200, body=page.replace(b"first", b"2nd")), match=Match(path=TAGS), times=1, skip=1)

    assert tags(await listed(adapter, "team/app")) == ["team/app:2nd", "team/app:first"]


async def test_a_list_that_never_ends_is_a_failure(hub: FakeDockerHub, adapter: DockerHubAdapter) -> None:
    page = b'{"next": "https://hub.docker.com/again", "results": [{"name": "1"}]}'
    hub.api.misbehave(answer_with(200, body=page), match=Match(path=TAGS))

    [failed] = (await listed(adapter, "team/app")).failures

    assert failed.failure.reason == "ENDLESS_PAGING"


async def test_a_digest_of_an_event_is_nothing_that_the_api_knows(
    hub: FakeDockerHub, adapter: DockerHubAdapter
) -> None:
    digest = hub.push_image("team/app", "1")
    within = (Resource(repository="team/app", references=(Reference(tag="", digest=digest),)),)

    assert tags(await listed(adapter, "team/app", within=within)) == []


# Limits


async def test_the_moment_that_hub_names_is_waited_for(
    hub: FakeDockerHub, adapter: DockerHubAdapter, sleeps: Sleeps
) -> None:
    """Its API says when in seconds since the epoch (#19967 #17746)."""
    hub.push_image("team/app", "1")
    at = str(int(time.time()) + 30)
    hub.api.misbehave(answer_with(429, headers={"X-Retry-After": at}), match=Match(path=TAGS), times=1)

    assert tags(await listed(adapter, "team/app")) == ["team/app:1"]
    [waited] = sleeps.asked
    assert 25 < waited <= 30


async def test_a_moment_that_is_far_off_is_a_failure(
    hub: FakeDockerHub, adapter: DockerHubAdapter, sleeps: Sleeps
) -> None:
    hub.push_image("team/app", "1")
    at = str(int(time.time()) + 7200)
    hub.api.misbehave(answer_with(429, headers={"X-Retry-After": at}), match=Match(path=TAGS))

    [failed] = (await listed(adapter, "team/app")).failures

    assert (failed.failure.reason, failed.failure.http_status, sleeps.asked) == ("RATE_LIMITED", 429, [])


async def test_a_quota_that_is_used_up_is_not_run_into(
    hub: FakeDockerHub, adapter: DockerHubAdapter, sleeps: Sleeps
) -> None:
    hub.push_image("team/app", *(f"t{number}" for number in range(150)))
    hub.api.misbehave(with_header("X-RateLimit-Remaining", "0"), match=Match(path=TAGS), times=1)
    hub.api.misbehave(with_header("X-RateLimit-Reset", str(int(time.time()) + 20)), match=Match(path=TAGS), times=1)

    assert len(tags(await listed(adapter, "team/app"))) == 150
    [waited] = sleeps.asked
    assert 15 < waited <= 20


# Preparing and deleting


async def test_an_organisation_has_to_be_there(hub: FakeDockerHub, adapter: DockerHubAdapter) -> None:
    hub.organisations["team"] = True

    prepared = await adapter.prepare(["someone/a", "team/b", "none/c", "none/d"], public=False, validate_only=False)

    told = [(each.repository, each.failure.reason, dict(each.failure.metadata)) for each in prepared.failures]
    expected = ("NAMESPACE_NOT_CREATED", {"namespace": "none"})
    assert told == [("none/c", *expected), ("none/d", *expected)]
    assert "Create the organisation" in prepared.failures[0].failure.message
    assert prepared.created_namespaces == ("someone/a", "team/b")
    assert asked(hub, "/v2/orgs/") == 2


@pytest.mark.parametrize("public", [False, True])
@pytest.mark.parametrize("count", [3, 30])
async def test_repositories_are_made_as_they_are_wanted_since_a_push_would_make_them_public(
    hub: FakeDockerHub, adapter: DockerHubAdapter, public: bool, count: int
) -> None:
    hub.push_image("someone/r0", "1")
    names = [f"someone/r{number}" for number in range(count)]

    told = await adapter.prepare(names, public=public, validate_only=True)
    assert hub.registry.store.names == ["someone/r0"]
    done = await adapter.prepare(names, public=public, validate_only=False)
    again = await adapter.prepare(names, public=public, validate_only=False)

    assert told.created_namespaces == done.created_namespaces == tuple(names[1:])
    assert (again.created_namespaces, done.failures, again.failures) == ((), (), ())
    assert hub.private == (set() if public else set(names[1:]))


async def test_a_plan_without_more_private_repositories_is_told_in_the_words_of_hub(
    hub: FakeDockerHub, adapter: DockerHubAdapter
) -> None:
    hub.private_left = 1

    prepared = await adapter.prepare(["someone/a", "someone/b"], public=False, validate_only=False)

    assert prepared.created_namespaces == ("someone/a",)
    [failed] = prepared.failures
    assert (failed.repository, failed.failure.reason) == ("someone/b", "REQUEST_REFUSED")
    assert "limit of private repositories" in failed.failure.message


async def test_who_may_not_make_a_repository_hears_it(hub: FakeDockerHub, adapter: DockerHubAdapter) -> None:
    hub.organisations["theirs"] = False

    [failed] = (await adapter.prepare(["theirs/app"], public=False, validate_only=False)).failures

    assert (failed.failure.reason, failed.failure.http_status) == ("ACCESS_DENIED", 403)


async def test_nobody_deletes_no_tag(hub: FakeDockerHub) -> None:
    hub.push_image("team/app", "1")

    async with opened(hub, anonymous=True) as adapter:
        with pytest.raises(RegistryCredentialRejected):
            await adapter.delete_tag("team/app", "1")


async def test_a_tag_called_list_is_a_tag(hub: FakeDockerHub, adapter: DockerHubAdapter) -> None:
    hub.push_image("team/app", "list", "tags")

    await asyncio.gather(adapter.delete_tag("team/app", "list"), adapter.delete_tag("team/app", "tags"))

    assert tags(await listed(adapter, "team/app")) == []
