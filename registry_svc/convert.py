"""Between protobuf and our values."""

import re
from collections.abc import Iterable
from typing import Final

import protovalidate
from google.protobuf.timestamp_pb2 import Timestamp

from registry_svc.adapters import base
from registry_svc.domain.change import Change, Draft
from registry_svc.domain.registry import COLLECTION, Credential, Registry, State
from replication import filters, newest
from replication.errors import PatternInvalid
from replication.matchers import MATCHERS
from replication.names import is_repository_name
from replication.rejection import Cause
from service_kit.errors import FieldViolation, InvalidPageToken, InvalidRequest
from service_kit.masks import check_mask
from service_kit.paging import PageToken
from service_kit.secret import Secret
from transship.registry.v1 import access_pb2, catalog_pb2, registry_pb2
from transship.type.v1 import artifact_pb2, filter_pb2, selection_pb2, transfer_pb2

_NAME: Final = re.compile(r"registries/[a-z0-9][a-z0-9._-]{0,63}")
MUTABLE_FIELDS: Final = frozenset(
    {"description", "url", "credential", "insecure", "ca_certificate", "max_bytes_per_second"}
)

_STATES: Final = {
    State.UNKNOWN: registry_pb2.Registry.STATE_UNSPECIFIED,
    State.HEALTHY: registry_pb2.Registry.STATE_HEALTHY,
    State.UNHEALTHY: registry_pb2.Registry.STATE_UNHEALTHY,
}
_DIMENSIONS: Final = {
    filters.Dimension.NAME: filter_pb2.Filter.DIMENSION_NAME,
    filters.Dimension.TAG: filter_pb2.Filter.DIMENSION_TAG,
    filters.Dimension.LABEL: filter_pb2.Filter.DIMENSION_LABEL,
    filters.Dimension.RESOURCE_TYPE: filter_pb2.Filter.DIMENSION_RESOURCE_TYPE,
}
_ORDERS: Final = {
    filter_pb2.Newest.ORDER_SEMVER: newest.Order.SEMVER,
    filter_pb2.Newest.ORDER_CREATE_TIME: newest.Order.CREATE_TIME,
}
_CAUSES: Final = {
    Cause.EXCLUDED: selection_pb2.Rejection.CAUSE_EXCLUDED,
    Cause.NOT_INCLUDED: selection_pb2.Rejection.CAUSE_NOT_INCLUDED,
    Cause.NOT_NEWEST: selection_pb2.Rejection.CAUSE_NOT_NEWEST,
    Cause.NOT_REPLICATED: selection_pb2.Rejection.CAUSE_NOT_REPLICATED,
}
_DIMENSIONS_FROM_PB: Final = {value: key for key, value in _DIMENSIONS.items()}
_SCOPE_ACTIONS: Final = {
    access_pb2.RepositoryScope.ACTION_PULL: base.Action.PULL,
    access_pb2.RepositoryScope.ACTION_PUSH: base.Action.PUSH,
    access_pb2.RepositoryScope.ACTION_DELETE: base.Action.DELETE,
}
_ACCESS_KINDS: Final = {
    base.AccessKind.NONE: access_pb2.IssueAccessResponse.KIND_UNSPECIFIED,
    base.AccessKind.BEARER: access_pb2.IssueAccessResponse.KIND_BEARER,
    base.AccessKind.BASIC: access_pb2.IssueAccessResponse.KIND_BASIC,
}


def key_from_name(name: str) -> str:
    """The id or uid in `registries/{registry}`."""
    return name.removeprefix(COLLECTION)


def key_from_update(request: registry_pb2.UpdateRegistryRequest) -> str:
    """The id or uid of the registry that is to be changed. Raises InvalidRequest when it is not named."""
    if not _NAME.fullmatch(request.registry.name):
        violation = FieldViolation("registry.name", "must name the registry, such as registries/production")
        raise InvalidRequest(violations=[violation])
    return key_from_name(request.registry.name)


def draft_from_pb(registry: registry_pb2.Registry, *, registry_id: str = "") -> Draft:
    return Draft(
        id=registry_id,
        type=registry.type,
        url=registry.url,
        description=registry.description,
        credential=_credential(registry),
        insecure=registry.insecure,
        ca_certificate=registry.ca_certificate,
        max_bytes_per_second=registry.max_bytes_per_second,
    )


def change_from_pb(request: registry_pb2.UpdateRegistryRequest) -> Change:
    """The fields that the mask names. Raises UnknownFieldInMask or InvalidRequest."""
    registry = request.registry
    paths = check_mask(request.update_mask, registry, mutable=MUTABLE_FIELDS)
    _check_fields(registry, paths)
    return Change(
        description=registry.description if "description" in paths else None,
        url=registry.url if "url" in paths else None,
        insecure=registry.insecure if "insecure" in paths else None,
        ca_certificate=registry.ca_certificate if "ca_certificate" in paths else None,
        max_bytes_per_second=registry.max_bytes_per_second if "max_bytes_per_second" in paths else None,
        credential=_credential(registry) if "credential" in paths else None,
        removes_credential="credential" in paths and not registry.HasField("credential"),
    )


def page_start(request: registry_pb2.ListRegistriesRequest) -> str:
    """The id that the page begins behind, "" for the first page. Raises InvalidPageToken or InvalidRequest."""
    if "\0" in request.type:
        raise InvalidRequest(violations=[FieldViolation("type", "must not contain the character NUL")])
    token = PageToken.decode(request.page_token, request.type)
    match token.cursor if token else ("",):
        case (str() as after,) if "\0" not in after:
            return after
        case _:
            raise InvalidPageToken


def registry_to_pb(registry: Registry) -> registry_pb2.Registry:
    message = registry_pb2.Registry(
        name=registry.name,
        uid=registry.uid,
        description=registry.description,
        type=registry.type,
        url=registry.url,
        insecure=registry.insecure,
        ca_certificate=registry.ca_certificate,
        max_bytes_per_second=registry.max_bytes_per_second,
        state=_STATES[registry.check.state],
        state_message=registry.check.message,
        etag=registry.etag,
    )
    message.create_time.FromDatetime(registry.create_time)
    message.update_time.FromDatetime(registry.update_time)
    if registry.credential is not None:
        message.credential.username = registry.credential.username
    if registry.check.time is not None:
        message.check_time.FromDatetime(registry.check.time)
    return message


def adapter_to_pb(adapter: base.AdapterType) -> registry_pb2.Adapter:
    return registry_pb2.Adapter(
        type=adapter.type,
        description=adapter.description,
        url_pattern=adapter.url_pattern,
        urls=adapter.urls,
        username_hint=adapter.username_hint,
        password_hint=adapter.password_hint,
    )


def info_to_pb(type_: str, info: base.Info) -> registry_pb2.RegistryInfo:
    return registry_pb2.RegistryInfo(
        type=type_,
        description=info.description,
        filter_dimensions=[_DIMENSIONS[each] for each in info.filter_dimensions],
        min_path_components=info.min_path_components,
        max_path_components=info.max_path_components,
        lists_repositories=info.lists_repositories,
        deletes_tags=info.deletes_tags,
        sends_events=info.sends_events,
        lists_digests=info.lists_digests,
    )


def query_from_pb(request: catalog_pb2.ListResourcesRequest) -> base.Query:
    """Raises InvalidRequest for what contradicts itself, and for each matcher that cannot be used."""
    return base.Query(
        selection=selection_from_pb(request.filters),
        newest=_newest(request.newest) if request.HasField("newest") else None,
        within=tuple(_within(index, each) for index, each in enumerate(request.within)) or None,
        include_rejected=request.include_rejected,
    )


def selection_from_pb(rules: Iterable[filter_pb2.Filter]) -> filters.Selection:
    """Raises InvalidRequest for each matcher that cannot be used."""
    parsed = [_rule(rule) for rule in rules]
    violations = []
    for index, rule in enumerate(parsed):
        try:
            rule.compile()
        except PatternInvalid as error:
            violations.append(FieldViolation(f"filters[{index}].{rule.matcher.kind}", str(error)))
    if violations:
        raise InvalidRequest(violations=violations)
    return filters.Selection.compile(parsed)


def repository_from_pb(name: str, *, field: str) -> str:
    """Raises InvalidRequest for a name that no repository can have."""
    if not is_repository_name(name):
        raise InvalidRequest(violations=[FieldViolation(field, "is not a repository name: write it as library/nginx")])
    return name


def listing_to_pb(listing: base.Listing) -> catalog_pb2.ListResourcesResponse:
    return catalog_pb2.ListResourcesResponse(
        resources=[_resource(each) for each in listing.resources],
        failures=[failure_to_pb(each) for each in listing.failures],
        rejections=[_rejection(each) for each in listing.rejections],
    )


def preparation_to_pb(preparation: base.Preparation) -> catalog_pb2.PrepareRepositoriesResponse:
    return catalog_pb2.PrepareRepositoriesResponse(
        failures=[failure_to_pb(each) for each in preparation.failures],
        created_namespaces=preparation.created_namespaces,
        excluded=[failure_to_pb(each) for each in preparation.excluded],
    )


def failure_to_pb(failed: base.RepositoryFailure) -> catalog_pb2.RepositoryFailure:
    failure = failed.failure
    return catalog_pb2.RepositoryFailure(
        repository=failed.repository,
        failure=transfer_pb2.Failure(
            reason=failure.reason,
            message=failure.message,
            registry_code=failure.registry_code,
            http_status=failure.http_status,
            metadata=failure.metadata,
        ),
    )


def scopes_from_pb(scopes: Iterable[access_pb2.RepositoryScope]) -> list[base.RepositoryScope]:
    return [
        base.RepositoryScope(
            repository=repository_from_pb(scope.repository, field=f"scopes[{index}].repository"),
            actions=frozenset(_SCOPE_ACTIONS[action] for action in scope.actions),
        )
        for index, scope in enumerate(scopes)
    ]


def access_to_pb(registry: Registry, access: base.Access) -> access_pb2.IssueAccessResponse:
    message = access_pb2.IssueAccessResponse(
        url=access.url or registry.url,
        insecure=registry.insecure,
        ca_certificate=registry.ca_certificate,
        max_bytes_per_second=registry.max_bytes_per_second,
        kind=_ACCESS_KINDS[access.kind],
        authorization=access.authorization,
        registry_uid=registry.uid,
        type=registry.type,
    )
    if access.expire_time is not None:
        message.expire_time.CopyFrom(Timestamp())
        message.expire_time.FromDatetime(access.expire_time)
    return message


def _credential(registry: registry_pb2.Registry) -> Credential | None:
    if not registry.HasField("credential"):
        return None
    return Credential(username=registry.credential.username, password=Secret(registry.credential.password))


def _check_fields(registry: registry_pb2.Registry, paths: frozenset[str]) -> None:
    """Holds the rules of the proto against the masked fields; the others are not part of the request."""
    violations = []
    for found in protovalidate.collect_violations(registry):
        path = [element.field_name for element in found.proto.field.elements] if found.proto.field else []
        if path and path[0] in paths:
            field = ".".join(["registry", *path])
            violations.append(FieldViolation(field, found.proto.message, found.proto.rule_id))
    if violations:
        raise InvalidRequest(violations=violations)


def _rule(rule: filter_pb2.Filter) -> filters.FilterRule:
    kind = rule.WhichOneof("matcher") or "glob"
    excludes = rule.action == filter_pb2.Filter.ACTION_EXCLUDE
    return filters.FilterRule(
        dimension=_DIMENSIONS_FROM_PB[rule.dimension],
        action=filters.Action.EXCLUDE if excludes else filters.Action.INCLUDE,
        matcher=MATCHERS[kind](getattr(rule, kind)),
    )


def _resource(resource: base.Resource) -> artifact_pb2.Resource:
    references = [artifact_pb2.ArtifactReference(tag=each.tag, digest=each.digest) for each in resource.references]
    return artifact_pb2.Resource(repository=resource.repository, references=references, public=resource.public)


def _newest(message: filter_pb2.Newest) -> newest.Newest:
    found = newest.Newest(
        order=_ORDERS[message.order],
        count=message.count,
        max_age=message.max_age.ToTimedelta() if message.HasField("max_age") else None,
        min_count=message.min_count,
    )
    try:
        found.check()
    except newest.NewestInvalid as error:
        raise InvalidRequest(violations=[FieldViolation(f"newest.{error.field}", error.why)]) from error
    return found


def _within(index: int, resource: artifact_pb2.Resource) -> base.Resource:
    return base.Resource(
        repository=repository_from_pb(resource.repository, field=f"within[{index}].repository"),
        references=tuple(base.Reference(tag=each.tag, digest=each.digest) for each in resource.references),
    )


def _rejection(rejected: base.Rejected) -> selection_pb2.Rejection:
    return selection_pb2.Rejection(
        repository=rejected.repository,
        tag=rejected.tag,
        cause=_CAUSES[rejected.why.cause],
        filter_index=rejected.why.filter_index,
        message=rejected.why.message,
    )
