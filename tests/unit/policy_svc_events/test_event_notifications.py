"""What is read of the notifications of registries. The documents are as docker-registry 2.8.2 and Harbor send them."""

import copy
import json
from datetime import UTC, datetime
from typing import Any

import pytest

from policy_svc.events.domain.event import EventKind, Notice
from policy_svc.events.notifications import Notification, read
from service_kit.errors import InvalidRequest
from tests.events import DIGEST_A, NOW

INDEX_DIGEST = "sha256:9e3db5f48f26477c69d27353b467a24a5268f0a66277e0385f85c899d0ab913c"
CHILD_DIGEST = "sha256:73c76dae6aa50989976e186f92e8590d82b47bb26afb3617b3b01630c16cf880"
BLOB_DIGEST = "sha256:36215277cfa399ff601f7d82b0f518f970a58793f0c0f947a99837e36712e77e"
_V2 = "http://127.0.0.1:18182/v2/library/app"

PUSHED_TAG: dict[str, Any] = {
    "id": "3ea04d5e-ad63-4b59-a114-21564865061e",
    "timestamp": "2026-11-24T23:38:46.148126121Z",
    "action": "push",
    "target": {
        "mediaType": "application/vnd.oci.image.index.v1+json",
        "size": 491,
        "digest": INDEX_DIGEST,
        "length": 491,
        "repository": "library/app",
        "url": f"{_V2}/manifests/{INDEX_DIGEST}",
        "tag": "1.0",
    },
    "request": {
        "id": "a4c198d2-b290-421c-b7c0-c812f0200eec",
        "addr": "127.0.0.1:40508",
        "host": "127.0.0.1:18182",
        "method": "PUT",
        "useragent": "skopeo/1.9.3",
    },
    "actor": {},
    "source": {"addr": "registry:5000", "instanceID": "d15f0391-3b43-4c19-9872-c414f98562ef"},
}
DELETED_TAG = {"id": "t", "timestamp": "2026-11-24T23:38:47Z", "action": "delete", "target": {}} | {
    "target": {"repository": "library/app", "tag": "1.1"}
}
DELETED_DIGEST = {"id": "d", "action": "delete", "target": {"digest": INDEX_DIGEST, "repository": "library/app"}}

HARBOR_PUSH: dict[str, Any] = {
    "type": "PUSH_ARTIFACT",
    "occur_at": 1586922308,
    "operator": "admin",
    "event_data": {
        "resources": [
            {
                "digest": DIGEST_A,
                "tag": "latest",
                "resource_url": "hub.harbor.com/test-webhook/debian:latest",
            }
        ],
        "repository": {
            "date_created": 1586922308,
            "name": "debian",
            "namespace": "test-webhook",
            "repo_full_name": "test-webhook/debian",
            "repo_type": "private",
        },
    },
}
CLOUD_EVENT = {
    "specversion": "1.0",
    "id": "4b2f89a6-548d-4c12-9993-a1f5790b97d2",
    "requestid": "2eedfab8-61d3-4f3c-8ec3-8f82d1ec4c84",
    "source": "/projects/1/webhook/policies/3",
    "type": "harbor.artifact.pushed",
    "datacontenttype": "application/json",
    "time": "2020-04-15T03:45:08Z",
    "data": HARBOR_PUSH["event_data"],
    "operator": "admin",
}


def envelope(*events: object) -> bytes:
    return json.dumps({"events": events}).encode()


def changed(document: dict[str, Any], **target: object) -> dict[str, Any]:
    """The event with these fields of its target; None takes one away."""
    found = copy.deepcopy(document)
    found["target"] = {name: value for name, value in (found["target"] | target).items() if value is not None}
    return found


def webhook(**fields: object) -> bytes:
    return json.dumps(HARBOR_PUSH | fields).encode()


def resources(*found: object) -> dict[str, object]:
    return dict(HARBOR_PUSH["event_data"], resources=found)


def references(notification: Notification) -> list[tuple[EventKind, str, str, str]]:
    return [(each.kind, each.repository, each.tag, each.digest) for each in notification.notices]


def test_a_pushed_tag_is_read_with_its_id_digest_and_time() -> None:
    notification = read(envelope(PUSHED_TAG), NOW)

    assert notification == Notification(
        notices=(
            Notice(
                id="3ea04d5e-ad63-4b59-a114-21564865061e",
                kind=EventKind.PUSH,
                repository="library/app",
                tag="1.0",
                digest=INDEX_DIGEST,
                occur_time=datetime(2026, 11, 24, 23, 38, 46, 148126, tzinfo=UTC),
            ),
        )
    )


def test_a_manifest_that_is_pushed_without_a_tag_is_an_event_too() -> None:
    child = changed(PUSHED_TAG, tag=None, digest=CHILD_DIGEST, url=f"{_V2}/manifests/{CHILD_DIGEST}")

    assert references(read(envelope(child), NOW)) == [(EventKind.PUSH, "library/app", "", CHILD_DIGEST)]


@pytest.mark.parametrize(
    "event",
    [
        PUSHED_TAG | {"action": "pull"},
        changed(PUSHED_TAG, tag=None, mediaType="application/octet-stream", url=f"{_V2}/blobs/{BLOB_DIGEST}"),
        changed(PUSHED_TAG, tag=None, mediaType="application/octet-stream", url=None),
        changed(PUSHED_TAG, tag=None, url=f"http://h/v2/a/manifests/b/blobs/{BLOB_DIGEST}"),
        PUSHED_TAG | {"action": "mount"},
        PUSHED_TAG | {"action": "something new"},
        PUSHED_TAG | {"action": 7},
    ],
    ids=["pull", "blob", "blob without url", "blob below manifests", "mount", "unknown", "number"],
)
def test_what_tells_of_no_artifact_is_counted_only(event: dict[str, Any]) -> None:
    assert read(envelope(event), NOW) == Notification(notices=(), ignored=1)


@pytest.mark.parametrize(
    "target", [{"url": None}, {"mediaType": None}, {"mediaType": "application/vnd.example+json"}, {"url": "x"}]
)
def test_a_manifest_is_known_by_its_url_or_its_media_type(target: dict[str, Any]) -> None:
    assert len(read(envelope(changed(PUSHED_TAG, **target)), NOW).notices) == 1


def test_deletions_have_a_tag_or_a_digest() -> None:
    assert references(read(envelope(DELETED_DIGEST, DELETED_TAG), NOW)) == [
        (EventKind.DELETE, "library/app", "", INDEX_DIGEST),
        (EventKind.DELETE, "library/app", "1.1", ""),
    ]


@pytest.mark.parametrize("timestamp", [None, "", "yesterday", 10**30, True, "9999-12-31T23:59:59-23:00"])
def test_what_has_no_date_happened_when_it_was_received(timestamp: object) -> None:
    [notice] = read(envelope(PUSHED_TAG | {"timestamp": timestamp}), NOW).notices

    assert notice.occur_time == NOW


@pytest.mark.parametrize(
    "event",
    [
        7,
        None,
        {},
        PUSHED_TAG | {"target": "library/app"},
        PUSHED_TAG | {"id": ""},
        PUSHED_TAG | {"id": 7},
        PUSHED_TAG | {"id": "x" * 129},
        PUSHED_TAG | {"id": "a\0b"},
        changed(PUSHED_TAG, repository="Library/App"),
        changed(PUSHED_TAG, repository="../app"),
        changed(PUSHED_TAG, repository=None),
        changed(PUSHED_TAG, repository="a" * 256),
        changed(PUSHED_TAG, tag="a\0"),
        changed(PUSHED_TAG, tag="a" * 129),
        changed(PUSHED_TAG, digest="sha256:short"),
        changed(DELETED_TAG, tag=None),
    ],
)
def test_an_event_that_cannot_be_holds_up_nothing(event: object) -> None:
    assert read(envelope(event, DELETED_TAG), NOW) == Notification(
        notices=read(envelope(DELETED_TAG), NOW).notices, ignored=1
    )


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\xff\xfe",
        b"{",
        b"[]",
        b'"events"',
        b"{}",
        b'{"events": {}}',
        b'{"type": 7}',
        b"[" * 100_000,
        b'{"events": ' + b"[" * 100_000,
        b'{"a": ' * 100_000,
        b'{"events": [' + b"9" * 5000 + b"]}",
    ],
)
def test_nonsense_is_refused(body: bytes) -> None:
    with pytest.raises(InvalidRequest) as caught:
        read(body, NOW)

    assert [(each.field, each.reason) for each in caught.value.violations] == [("body", "NOTIFICATION_INVALID")]


def test_an_empty_envelope_tells_nothing() -> None:
    assert read(envelope(), NOW) == Notification(notices=())


def test_a_webhook_of_harbor_is_read() -> None:
    [notice] = read(webhook(), NOW).notices

    assert (notice.kind, notice.repository, notice.tag, notice.digest) == (
        EventKind.PUSH,
        "test-webhook/debian",
        "latest",
        DIGEST_A,
    )
    assert notice.occur_time == datetime(2020, 4, 15, 3, 45, 8, tzinfo=UTC)


def test_the_id_of_a_webhook_is_made_of_what_it_says() -> None:
    def id_of(**fields: object) -> str:
        [notice] = read(webhook(**fields), NOW).notices
        return notice.id

    assert id_of() == id_of(operator="somebody else")
    others = [
        id_of(occur_at=1586922309),
        id_of(event_data=resources({"digest": DIGEST_A, "tag": "other"})),
        id_of(event_data=resources({"tag": "latest"})),
    ]
    assert len({id_of(), *others}) == 4


def test_a_webhook_tells_of_every_artifact_in_it() -> None:
    data = resources(
        {"digest": DIGEST_A, "tag": "1"}, {"digest": DIGEST_A, "tag": "2"}, {"digest": DIGEST_A, "tag": "1"}
    )

    assert references(read(webhook(event_data=data), NOW)) == [
        (EventKind.PUSH, "test-webhook/debian", "1", DIGEST_A),
        (EventKind.PUSH, "test-webhook/debian", "2", DIGEST_A),
    ]


@pytest.mark.parametrize("resource", [{"digest": DIGEST_A, "tag": DIGEST_A}, {"tag": DIGEST_A}, {"digest": DIGEST_A}])
def test_an_artifact_without_a_tag_may_have_its_digest_in_its_place(resource: dict[str, str]) -> None:
    assert references(read(webhook(event_data=resources(resource)), NOW)) == [
        (EventKind.PUSH, "test-webhook/debian", "", DIGEST_A)
    ]


@pytest.mark.parametrize("name", ["DELETE_ARTIFACT", "deleteImage"])
def test_harbor_deletes_an_artifact_with_all_of_its_tags(name: str) -> None:
    assert references(read(webhook(type=name), NOW)) == [
        (EventKind.DELETE, "test-webhook/debian", "latest", DIGEST_A),
        (EventKind.DELETE, "test-webhook/debian", "", DIGEST_A),
    ]


def test_a_cloud_event_is_read_with_its_own_identity() -> None:
    body = json.dumps(CLOUD_EVENT).encode()
    [notice] = read(body, NOW).notices
    [as_webhook] = read(webhook(), NOW).notices
    [other] = read(json.dumps(CLOUD_EVENT | {"id": "another"}).encode(), NOW).notices

    assert (notice.kind, notice.repository, notice.tag) == (EventKind.PUSH, "test-webhook/debian", "latest")
    assert notice.occur_time == as_webhook.occur_time
    assert read(body, NOW).notices == (notice,)
    assert len({notice.id, as_webhook.id, other.id}) == 3


def test_the_webhook_of_harbor_before_2_is_read() -> None:
    assert [each.kind for each in read(webhook(type="pushImage"), NOW).notices] == [EventKind.PUSH]


@pytest.mark.parametrize(
    "fields",
    [
        {"type": "SCANNING_COMPLETED"},
        {"type": "PULL_ARTIFACT"},
        {"type": "harbor.artifact.pulled"},
        {"event_data": None},
        {"event_data": {"repository": {}, "resources": [{"tag": "1"}]}},
        {"event_data": {"resources": []}},
        {"event_data": resources("x")},
    ],
)
def test_another_webhook_is_counted_only(fields: dict[str, object]) -> None:
    assert read(webhook(**fields), NOW) == Notification(notices=(), ignored=1)
