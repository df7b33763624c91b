"""The entry point: `transship` and its groups of commands."""

from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Final

import typer

from service_kit.logging import LogFormat, configure_logging
from transship.cli import adapter, copy, event, execution, local, policy, registry, run, tryout
from transship.cli.connect import Targets
from transship.sdk import endpoints

_REMOTE: Final = "Services elsewhere (all three, or none for the stack of this machine)"
_TLS: Final = "TLS to those services"

app = typer.Typer(
    help="Replicates container images and every other OCI artifact between registries, by policy.",
    epilog="Begin with `transship up --detach`, then `transship copy HOST/REPO:TAG HOST/REPO`.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,  # They would print the values of variables, and with them secrets.
    rich_markup_mode="markdown",
)
run.register(app)
tryout.register(app)
copy.register(app)
app.add_typer(registry.app, name="registry", rich_help_panel="Resources")
app.add_typer(policy.app, name="policy", rich_help_panel="Resources")
app.add_typer(execution.app, name="execution", rich_help_panel="Resources")
app.add_typer(event.app, name="event", rich_help_panel="Resources")
app.add_typer(event.sources, name="event-source", rich_help_panel="Resources")
app.add_typer(adapter.app, name="adapter", rich_help_panel="Resources")
local.register(app)


def _target(flag: str, variable: str, service: str) -> typer.models.OptionInfo:
    described = f"Address of the {service} service."
    option: typer.models.OptionInfo = typer.Option(
        flag, envvar=variable, metavar="HOST:PORT", help=described, rich_help_panel=_REMOTE
    )
    return option


def _file(flag: str, variable: str, described: str) -> typer.models.OptionInfo:
    option: typer.models.OptionInfo = typer.Option(
        flag, envvar=variable, metavar="FILE", help=described, exists=True, dir_okay=False, rich_help_panel=_TLS
    )
    return option


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"transship {version('transship')}")
        raise typer.Exit


@app.callback()
def _options(
    ctx: typer.Context,
    registry_target: Annotated[
        str | None, _target("--registry-target", endpoints.REGISTRY_TARGET_VARIABLE, "registry")
    ] = None,
    policy_target: Annotated[str | None, _target("--policy-target", endpoints.POLICY_TARGET_VARIABLE, "policy")] = None,
    execution_target: Annotated[
        str | None, _target("--execution-target", endpoints.EXECUTION_TARGET_VARIABLE, "execution")
    ] = None,
    tls_ca_file: Annotated[
        Path | None, _file("--tls-ca-file", endpoints.TLS_CA_VARIABLE, "Authority to trust, PEM. Without it, no TLS.")
    ] = None,
    tls_cert_file: Annotated[
        Path | None, _file("--tls-cert-file", endpoints.TLS_CERT_VARIABLE, "Our certificate, PEM.")
    ] = None,
    tls_key_file: Annotated[Path | None, _file("--tls-key-file", endpoints.TLS_KEY_VARIABLE, "Its key, PEM.")] = None,
    _version: Annotated[
        bool, typer.Option("--version", help="Show the version and exit.", is_eager=True, callback=_show_version)
    ] = False,
) -> None:
    configure_logging(service="transship", log_format=LogFormat.TEXT, level="warning")
    ctx.obj = Targets(
        registry=registry_target,
        policy=policy_target,
        execution=execution_target,
        tls_ca=tls_ca_file,
        tls_cert=tls_cert_file,
        tls_key=tls_key_file,
    )


def main() -> None:
    app(prog_name="transship")


if __name__ == "__main__":
    main()
