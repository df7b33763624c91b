"""`transship policy apply` and `export`: many policies in one file."""

import sys
from dataclasses import dataclass
from difflib import unified_diff
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from service_kit.errors import Kind
from transship.cli.connect import Session
from transship.cli.errors import EXIT_FAILED, fail, sentence_of
from transship.cli.policy_fields import fields_of, value_of
from transship.cli.policy_file import MistakeInFile, read_policies, stated, write_policies, write_policy
from transship.cli.render import counted, printable
from transship.policy.v1.policy_pb2 import Policy
from transship.sdk import TransshipClient, TransshipError

File = Annotated[
    Path,
    typer.Option(
        "--file", "-f", metavar="FILE", help="The file, or `-` for standard input.", allow_dash=True, show_default=False
    ),
]


class What(StrEnum):
    """What becomes of a policy."""

    CREATE = "create"
    UPDATE = "update"
    NOTHING = "nothing"


_DONE: Final = {What.CREATE: "Created", What.UPDATE: "Changed"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """How a stored policy differs from the file's."""

    policy_id: str
    present: Policy | None
    wanted: Policy

    @property
    def what(self) -> What:
        if self.present is None:
            return What.CREATE
        return What.UPDATE if self.fields else What.NOTHING

    @property
    def fields(self) -> list[str]:
        """Those that differ."""
        present, wanted = stated(self.present or Policy()), self.wanted
        names = {field.name for each in (present, wanted) for field, _ in each.ListFields()}
        return sorted(each for each in names if value_of(present, each) != value_of(wanted, each))

    @property
    def diff(self) -> str:
        """From what is stored to what the file says."""
        present = write_policy(self.present) if self.present else ""
        name = f"policies/{self.policy_id}"
        lines = unified_diff(
            present.splitlines(),
            write_policy(self.wanted).splitlines(),
            fromfile=name if self.present else "(none)",
            tofile=name,
            lineterm="",
        )
        return "\n".join(lines)


async def apply(
    session: Session,
    file: File,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would change, and change nothing.")] = False,
) -> None:
    """Makes policies what a file says: creates those that are missing and changes those that differ.

    Each is checked and shown as a diff before anything is changed. Policies that are not in the file stay. The file is
    YAML: a list under `policies`, of the fields of the protos with an `id` beside them, as `policy export` writes it.

    Example: `transship policy apply -f policies.yaml --dry-run`
    """
    policies = read(file)
    async with session.client() as client:
        changes = await _compare(client, policies)
        pending = [each for each in changes if each.what is not What.NOTHING]
        _show(session, changes)
        if dry_run or not pending:
            return
        if not _agreed(session, pending, file, yes=yes):
            session.screen.say("Nothing was changed.")
            raise typer.Exit(EXIT_FAILED)
        for each in pending:
            await _carry_out(client, each)
            session.screen.say(f"{_DONE[each.what]} policy {each.policy_id}.")


async def export(
    session: Session,
    names: Annotated[list[str] | None, typer.Argument(metavar="NAME", help="Which policies. Default: all.")] = None,
) -> None:
    """Writes policies as `policy apply` reads them.

    Example: `transship policy export > policies.yaml`
    """
    async with session.client() as client:
        found = [await client.policies.get(name) for name in names or ()]
        policies = found or [each async for each in client.policies.list()]
    typer.echo(write_policies(policies), nl=False)


def read(file: Path) -> dict[str, Policy]:
    """The policies of a file; exits with a sentence about what is wrong in it."""
    name = "standard input" if str(file) == "-" else str(file)
    try:
        text = sys.stdin.read() if str(file) == "-" else file.read_text()
        return read_policies(text)
    except (OSError, UnicodeDecodeError) as error:
        raise typer.BadParameter(f"{name} cannot be read: {error}") from error
    except MistakeInFile as error:
        fail(f"{name}: {error}")


async def _compare(client: TransshipClient, policies: dict[str, Policy]) -> list[Change]:
    """Every policy checked and completed by the service; exits when it refuses one."""
    changes: list[Change] = []
    mistakes: list[str] = []
    for number, (policy_id, policy) in enumerate(policies.items()):
        try:
            present = await _present(client, policy_id)
            new_id = policy_id if present is None else ""  # which is checked too
            wanted = await client.policies.create(new_id, validate_only=True, **fields_of(policy))
            changes.append(Change(policy_id=policy_id, present=present, wanted=stated(wanted)))
        except TransshipError as error:
            mistakes += _told(error, f"policies[{number}] ({policy_id})")
    if mistakes:
        fail(*mistakes)
    return changes


async def _present(client: TransshipClient, policy_id: str) -> Policy | None:
    try:
        return await client.policies.get(policy_id)
    except TransshipError as error:
        if error.kind not in {Kind.NOT_FOUND, Kind.INVALID_ARGUMENT}:  # no policy has what is no name
            raise
        return None


def _told(error: TransshipError, place: str) -> list[str]:
    if error.kind is Kind.UNAVAILABLE:
        raise error
    if not error.violations:
        return [f"{place}: {sentence_of(error)}"]
    return [f"{place}{_field(each.field)}: {each.description}" for each in error.violations]


def _field(field: str) -> str:
    """A field of the request, below the place of its policy in the file."""
    return ".id" if field == "policy_id" else field.removeprefix("policy")


def _show(session: Session, changes: list[Change]) -> None:
    if session.screen.is_json:
        session.screen.data([{"id": each.policy_id, "change": each.what, "diff": each.diff} for each in changes])
        return
    for each in changes:
        if each.what is What.NOTHING:
            session.screen.say(f"Policy {each.policy_id}: nothing changes.")
        else:
            typer.echo(printable(each.diff, keep_lines=True))


def _agreed(session: Session, pending: list[Change], file: Path, *, yes: bool) -> bool:
    if yes:
        return True
    if str(file) == "-" or session.screen.is_json or not sys.stdin.isatty():
        raise typer.BadParameter(
            "There is no terminal to ask on: repeat with --yes to make these changes, "
            "or with --dry-run to see them only."
        )
    return _confirmed(f"Change {counted(len(pending), 'policy', 'policies')}?")


def _confirmed(question: str) -> bool:
    """Whether somebody says yes; the end of the input is a no."""
    try:
        return typer.confirm(question, err=True)
    except typer.Abort:
        typer.echo(err=True)
        return False


async def _carry_out(client: TransshipClient, change: Change) -> None:
    if change.present is None:
        await client.policies.create(change.policy_id, **fields_of(change.wanted))
    else:
        changes: Any = {each: value_of(change.wanted, each) for each in change.fields}
        await client.policies.update(change.policy_id, etag=change.present.etag, **changes)
