"""Errors as a person wants them: one sentence on standard error that says what to do, and exit code 1."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final, NoReturn

import psycopg
import typer

from service_kit.errors import FieldViolation, Kind, ServiceError
from service_kit.migrations import MigrationError
from transship.cli.render import last_part, printable

EXIT_FAILED: Final = 1

# The services say what is wrong; which command mends it, only we know. Names in braces are those of the metadata.
_UNTRIED: Final = "`--no-check` of `registry create` and `registry update` stores it untried."
_ADVICE: Final = {
    "REGISTRY_UNREACHABLE": f"Check the URL and the network; {_UNTRIED}",
    "REGISTRY_CREDENTIAL_REJECTED": "Check --username and the password.",
    "REGISTRY_MISBEHAVED": f"Check the URL; {_UNTRIED}",
    "REGISTRY_NOT_FOUND": "`transship registry list` shows those that there are.",
    "POLICY_NOT_FOUND": "`transship policy list` shows those that there are.",
    "POLICY_DISABLED": "That is `transship policy update {policy} --enabled`.",
    "EXECUTION_NOT_FOUND": "`transship execution list` shows those that there are.",
    "STACK_START_FAILED": "",
    "TASK_NOT_FOUND": "`transship execution tasks EXECUTION` shows those that there are.",
    "ADAPTER_UNKNOWN": "`transship adapter list` shows the types.",
}
_UNREACHABLE_ADVICE: Final = "Is it running? `transship status` tells for the local stack."


@contextmanager
def told() -> Iterator[None]:
    """Tells errors of the block that are no mistakes of ours, and exits."""
    try:
        yield
    except ServiceError as error:
        _exit(sentence_of(error), error.violations)
    except MigrationError as error:
        _exit(f"The database was not migrated: {error}.")
    except psycopg.OperationalError as error:
        _exit(f"The database cannot be used: {error}")
    except psycopg.ProgrammingError:  # Its text may hold the URL, and with it the password.
        _exit("The database URL is not valid, or its user may not change the schema.")


def fail(*lines: str) -> NoReturn:
    """Tells what is wrong, a line each, and exits."""
    for line in lines:
        typer.secho(f"Error: {printable(line, keep_lines=True)}", err=True, fg=typer.colors.RED)
    raise typer.Exit(EXIT_FAILED)


def sentence_of(error: ServiceError) -> str:
    """What happened, and which command mends it."""
    advice = _ADVICE.get(error.reason, _UNREACHABLE_ADVICE if error.kind is Kind.UNAVAILABLE else "")
    for name, value in error.metadata.items():
        advice = advice.replace(f"{{{name}}}", last_part(value))
    return f"{error.message} {advice}".strip()


def _exit(sentence: str, violations: tuple[FieldViolation, ...] = ()) -> None:
    typer.secho(f"Error: {printable(sentence, keep_lines=True)}", err=True, fg=typer.colors.RED)
    for violation in violations:
        typer.echo(f"  {printable(violation.field)}: {printable(violation.description)}", err=True)
    raise typer.Exit(EXIT_FAILED)
