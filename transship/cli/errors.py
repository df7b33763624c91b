"""Errors as a person wants them: one sentence on standard error that says what to do, and exit code 1."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import psycopg
import typer

from service_kit.errors import FieldViolation, Kind, ServiceError
from service_kit.migrations import MigrationError
from transship.cli.render import printable

EXIT_FAILED: Final = 1

# The services say what is wrong; which command mends it, only we know.
_ADVICE: Final = {
    "REGISTRY_UNREACHABLE": "Check the URL and the network; `--no-check` stores it untried.",
    "REGISTRY_CREDENTIAL_REJECTED": "Check --username and the password.",
    "REGISTRY_MISBEHAVED": "Check the URL; `--no-check` stores it untried.",
    "POLICY_DISABLED": "Enable it with `transship policy update NAME --enabled`.",
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


def sentence_of(error: ServiceError) -> str:
    advice = _ADVICE.get(error.reason) or (_UNREACHABLE_ADVICE if error.kind is Kind.UNAVAILABLE else "")
    return f"{error.message} {advice}".strip()


def _exit(sentence: str, violations: tuple[FieldViolation, ...] = ()) -> None:
    typer.secho(f"Error: {printable(sentence, keep_lines=True)}", err=True, fg=typer.colors.RED)
    for violation in violations:
        typer.echo(f"  {printable(violation.field)}: {printable(violation.description)}", err=True)
    raise typer.Exit(EXIT_FAILED)
