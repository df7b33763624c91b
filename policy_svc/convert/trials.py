"""Between protobuf and trials of policies."""

from collections.abc import Iterable, Iterator
from itertools import chain
from typing import Final

from policy_svc.convert.policies import spec_from_pb
from policy_svc.convert.requests import key_from_name
from policy_svc.domain.policy import PolicySpec
from policy_svc.domain.trial import Artifact, Failure, Match, Problem, Rejected, Side, Trial
from replication.rejection import Cause, Rejection
from transship.policy.v1 import policy_pb2 as pb
from transship.type.v1 import selection_pb2, transfer_pb2

MAX_MESSAGE_BYTES: Final = 1024 * 1024  # a listing's batch has many targets; clients refuse messages over 4 MiB

_CAUSES: Final = {
    Cause.EXCLUDED: selection_pb2.Rejection.CAUSE_EXCLUDED,
    Cause.NOT_INCLUDED: selection_pb2.Rejection.CAUSE_NOT_INCLUDED,
    Cause.NOT_NEWEST: selection_pb2.Rejection.CAUSE_NOT_NEWEST,
    Cause.NOT_REPLICATED: selection_pb2.Rejection.CAUSE_NOT_REPLICATED,
}
_CAUSES_FROM_PB: Final = {value: key for key, value in _CAUSES.items()}
_SIDES: Final = {
    Side.NEITHER: transfer_pb2.Failure.SIDE_UNSPECIFIED,
    Side.SOURCE: transfer_pb2.Failure.SIDE_SOURCE,
    Side.DESTINATION: transfer_pb2.Failure.SIDE_DESTINATION,
}


def subject_from_pb(request: pb.TestPolicyRequest) -> str | PolicySpec:
    """The key of a stored policy, or one that is not stored."""
    if request.WhichOneof("subject") == "policy":
        return key_from_name(request.policy)
    return spec_from_pb(request.inline_policy)


def candidates_from_pb(request: pb.TestPolicyRequest) -> list[Artifact]:
    return [Artifact(each.repository, each.tag) for each in request.candidates]


def trial_to_pb(trial: Trial) -> Iterator[pb.TestPolicyResponse]:
    """The trial in messages that are not too large; none when there is nothing to tell."""
    message, size = pb.TestPolicyResponse(), 0
    for part in _parts(trial):
        size += part.ByteSize()
        if size > MAX_MESSAGE_BYTES:
            yield message
            message, size = pb.TestPolicyResponse(), part.ByteSize()
        message.MergeFrom(part)
    if size:
        yield message


def _parts(trial: Trial) -> Iterator[pb.TestPolicyResponse]:
    """A message for each thing that there is to tell."""
    return chain(
        (pb.TestPolicyResponse(matches=[_match_to_pb(each)]) for each in trial.matches),
        (pb.TestPolicyResponse(rejections=[_rejected_to_pb(each)]) for each in trial.rejected),
        (pb.TestPolicyResponse(problems=[_problem_to_pb(each)]) for each in trial.problems),
    )


def rejected_from_pb(rejection: selection_pb2.Rejection) -> Rejected:
    return Rejected(
        Artifact(rejection.repository, rejection.tag),
        Rejection(
            cause=_CAUSES_FROM_PB.get(rejection.cause, Cause.NOT_REPLICATED),
            filter_index=rejection.filter_index if rejection.HasField("filter_index") else None,
            message=rejection.message,
        ),
    )


def problem_from_pb(repository: str, failure: transfer_pb2.Failure) -> Problem:
    """A repository of the source that could not be listed."""
    return Problem(
        repository,
        Failure(
            reason=failure.reason,
            message=failure.message,
            side=Side.SOURCE,
            registry_code=failure.registry_code,
            http_status=failure.http_status,
            metadata=dict(failure.metadata),
        ),
    )


def _match_to_pb(match: Match) -> pb.Match:
    targets: Iterable[pb.Target] = (
        pb.Target(
            registry=each.registry,
            repository=each.repository,
            tag=each.tag,
            failure=_failure_to_pb(each.failure) if each.failure else None,
        )
        for each in match.targets
    )
    return pb.Match(repository=match.artifact.repository, tag=match.artifact.tag, targets=targets)


def _rejected_to_pb(rejected: Rejected) -> selection_pb2.Rejection:
    return selection_pb2.Rejection(
        repository=rejected.artifact.repository,
        tag=rejected.artifact.tag,
        cause=_CAUSES[rejected.rejection.cause],
        filter_index=rejected.rejection.filter_index,
        message=rejected.rejection.message,
    )


def _problem_to_pb(problem: Problem) -> pb.RepositoryProblem:
    return pb.RepositoryProblem(repository=problem.repository, failure=_failure_to_pb(problem.failure))


def _failure_to_pb(failure: Failure) -> transfer_pb2.Failure:
    return transfer_pb2.Failure(
        reason=failure.reason,
        message=failure.message,
        side=_SIDES[failure.side],
        registry_code=failure.registry_code,
        http_status=failure.http_status,
        metadata=dict(failure.metadata),
    )
