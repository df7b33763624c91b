"""`transship policy test`, `policy preview` and `plan`: what a policy picks, when it runs, and what a run would do."""

from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import typer
from google.protobuf.message import Message

from transship.cli.apply import read
from transship.cli.command import command
from transship.cli.connect import Session
from transship.cli.errors import EXIT_FAILED, fail
from transship.cli.options.when import Cron, TimeZone
from transship.cli.render import bytes_text, counted, enum_text, last_part
from transship.execution.v1.execution_pb2 import PlannedAction, PlanSummary
from transship.policy.v1.policy_pb2 import Match, Policy, RepositoryProblem, Target, TestPolicyResponse
from transship.sdk import schedule
from transship.type.v1.selection_pb2 import Rejection
from transship.type.v1.transfer_pb2 import PlannedReference

_DIGEST_CHARS: Final = 19  # `sha256:` and twelve digits, enough to tell digests apart

_Policy = Annotated[str, typer.Argument(metavar="POLICY", help="Name or uid of the policy.", show_default=False)]
_File = Annotated[
    Path | None,
    typer.Option(
        "--file",
        "-f",
        metavar="FILE",
        help="Take the policy of this id from a file for `policy apply`.",
        allow_dash=True,
    ),
]


async def try_policy(
    session: Session,
    policy: _Policy,
    candidate: Annotated[
        list[str] | None,
        typer.Option(metavar="REPO[:TAG]", help="Try this instead of asking the source. May be given several times."),
    ] = None,
    rejected: Annotated[bool, typer.Option("--rejected", help="Tell too what is left out, and why.")] = False,
    file: _File = None,
) -> None:
    """Shows what a policy picks, and where that goes. Nothing is copied, and no destination is asked.

    Example: `transship policy test nightly --candidate library/nginx:1.27-rc1 --rejected`
    """
    found: Counter[str] = Counter()
    async with session.client() as client:
        tried = client.policies.test(
            _subject(policy, file), candidates=[_candidate(each) for each in candidate or ()], include_rejected=rejected
        )
        async for answer in tried:
            for kind, message, text in _tried(answer):
                found[kind] += 1
                session.screen.line(message, text, kind=kind)
    left_out = f", {found['rejection']} left out" if rejected else ""
    unlisted = counted(found["problem"], "repository", "repositories")
    problems = f"; {unlisted} could not be listed" if found["problem"] else ""
    session.screen.say(f"{found['match']} would be replicated{left_out}{problems}.")


async def preview(
    session: Session,
    policy: Annotated[
        str, typer.Argument(metavar="POLICY", help="Name or uid of a policy. Or give --cron.", show_default=False)
    ] = "",
    cron: Cron = None,
    time_zone: TimeZone = None,
    count: Annotated[int, typer.Option(metavar="N", min=1, max=100, help="How many runs.")] = 5,
) -> None:
    """Shows when a policy, or a schedule that is no policy's yet, runs next: on its own clock and in UTC.

    Example: `transship policy preview --cron '30 2 * * sun' --time-zone Europe/Berlin`
    """
    if bool(policy) == bool(cron) or (policy and time_zone):
        raise typer.BadParameter("Give a policy, or --cron and perhaps --time-zone.")
    async with session.client() as client:
        if policy:
            stored = await client.policies.get(policy)
            time_zone = stored.trigger.scheduled.time_zone
            answer = await client.policies.preview_schedule(policy, count=count)
        else:
            answer = await client.policies.preview_schedule(
                schedule(cron or "", time_zone=time_zone or ""), count=count
            )
    if session.screen.is_json:
        session.screen.one(answer, {})
        return
    for each in answer.run_times:
        typer.echo(_run_text(each.ToDatetime(UTC), time_zone or ""))
    if not answer.run_times:
        session.screen.say("It never runs.")


def register(app: typer.Typer) -> None:
    command(app, "plan", panel="Replicate")(plan)


async def plan(session: Session, policy: _Policy, file: _File = None) -> None:
    """Shows what a run of a policy would do, and changes nothing. Exit code 1 if something of it would fail.

    Example: `transship plan nightly`
    """
    summary = PlanSummary()
    async with session.client() as client:
        async for answer in client.executions.plan(_subject(policy, file)):
            summary = answer.summary
            for action in answer.actions:
                session.screen.line(action, _action_text(action), kind="action")
    session.screen.line(summary, _summary_text(summary), kind="summary")
    if summary.failures:
        raise typer.Exit(EXIT_FAILED)


def _subject(policy: str, file: Path | None) -> str | Policy:
    if file is None:
        return policy
    policies = read(file)
    if policy not in policies:
        fail(f"{file}: there is no policy {policy} in it.")
    return policies[policy]


def _candidate(text: str) -> tuple[str, str]:
    repository, _, tag = text.partition(":")
    return repository, tag


def _tried(answer: TestPolicyResponse) -> Iterator[tuple[str, Message, str]]:
    for match in answer.matches:
        yield "match", match, _match_text(match)
    for rejection in answer.rejections:
        yield "rejection", rejection, f"- {_artifact(rejection.repository, rejection.tag)}: {_why(rejection)}"
    for problem in answer.problems:
        yield "problem", problem, _problem_text(problem)


def _match_text(match: Match) -> str:
    return f"+ {_artifact(match.repository, match.tag)} -> {', '.join(map(_target_text, match.targets))}"


def _target_text(target: Target) -> str:
    where = f"{last_part(target.registry)}/{_artifact(target.repository, target.tag)}"
    return f"{where} (cannot go there: {target.failure.message})" if target.HasField("failure") else where


def _why(rejection: Rejection) -> str:
    which = f" (filters[{rejection.filter_index}])" if rejection.HasField("filter_index") else ""
    return f"{rejection.message or enum_text(Rejection.Cause, rejection.cause)}{which}"


def _problem_text(problem: RepositoryProblem) -> str:
    return f"! {problem.repository}: {problem.failure.message}"


def _artifact(repository: str, tag: str, digest: str = "") -> str:
    return f"{repository}:{tag}" if tag else f"{repository}@{digest[:_DIGEST_CHARS]}" if digest else repository


def _run_text(moment: datetime, time_zone: str) -> str:
    try:
        local = moment.astimezone(ZoneInfo(time_zone)) if time_zone else moment
    except (ZoneInfoNotFoundError, ValueError):  # A zone that the service knows and this machine does not.
        local = moment
    utc = f"{moment:%Y-%m-%d %H:%M:%S}Z"
    return f"{local:%a %Y-%m-%d %H:%M:%S %Z}  {utc}" if local.tzinfo is not UTC else f"{moment:%a} {utc}"


def _action_text(action: PlannedAction) -> str:
    registry = last_part(action.destination_registry)
    match action.WhichOneof("kind"):
        case "created_namespace":
            return f"create    {registry}/{action.created_namespace}"
        case "failure":
            return f"fail      {action.source_repository} -> {registry}: {action.failure.message}"
        case _:
            return _reference_text(action, registry, action.reference)


def _reference_text(action: PlannedAction, registry: str, reference: PlannedReference) -> str:
    kind = enum_text(PlannedReference.Action, reference.action).lower()
    there = f"{registry}/{_artifact(action.destination_repository, reference.destination_tag, reference.digest)}"
    source = _artifact(action.source_repository, reference.tag, reference.digest)
    what = there if reference.action == PlannedReference.ACTION_DELETE else f"{source} -> {there}"
    why = f": {reference.failure.message}" if reference.HasField("failure") else ""
    amount = f"  {counted(reference.blobs_to_move, 'blob', 'blobs')}, {bytes_text(reference.bytes_to_move)}"
    overwrites = reference.action == PlannedReference.ACTION_COPY and reference.present_digest
    over = f", overwrites {reference.present_digest[:_DIGEST_CHARS]}" if overwrites else ""
    return f"{kind:9} {what}{amount if reference.action == PlannedReference.ACTION_COPY else ''}{over}{why}"


def _summary_text(summary: PlanSummary) -> str:
    guard = f" Nothing would be deleted: {summary.prune_guard}" if summary.prune_guard else ""
    return (
        f"{summary.references_to_copy} to copy ({bytes_text(summary.bytes_to_move)}), "
        f"{summary.references_unchanged} unchanged, {summary.references_skipped} skipped, "
        f"{summary.tags_to_delete} to delete, {summary.namespaces_to_create} to create, {summary.failures} would fail."
        f"{guard}"
    )
