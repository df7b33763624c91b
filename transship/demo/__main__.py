"""`python -m transship.demo`: exit code 0 only if every selected tag has one digest on both sides."""

import os
import signal
import sys
import tempfile
from pathlib import Path
from typing import Final

from oci_client.errors import OciError
from service_kit.logging import LogFormat, configure_logging
from transship.demo.processes import Children, DemoFailed
from transship.demo.story import Story

EXIT_FAILED: Final = 1
EXIT_INTERRUPTED: Final = 130

_GO_ON: Final = """
Everything that was started has ended, and its files are gone. For a stack of your own:

    . .venv/bin/activate
    transship up --detach
    transship copy SOURCE_HOST/REPOSITORY:TAG DESTINATION_HOST/REPOSITORY
    transship status
    transship down

It keeps its data in ~/.local/state/transship. README.md says what it is, ARCHITECTURE.md how it works,
and `transship --help` lists the commands.
"""


def main() -> int:
    configure_logging(service="demo", log_format=LogFormat.TEXT, level="warning")
    os.environ["no_proxy"] = "127.0.0.1"  # A proxy of the environment does not know the way to our loopback.
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.default_int_handler)
    try:
        with tempfile.TemporaryDirectory(prefix="transship-demo-") as name, Children(Path(name)) as children:
            try:
                are_equal = Story(Path(name), children).tell()
            finally:
                _finish_in_peace()
    except KeyboardInterrupt:
        sys.stderr.write("Interrupted; nothing is left behind.\n")
        return EXIT_INTERRUPTED
    except (DemoFailed, OciError) as error:
        sys.stderr.write(f"The demo failed: {error}\n")
        return EXIT_FAILED
    if not are_equal:
        sys.stderr.write("The demo failed: what is at the mirror is not what the policy selects.\n")
        return EXIT_FAILED
    sys.stdout.write(_GO_ON)
    return 0


def _finish_in_peace() -> None:
    """A second Ctrl-C would interrupt the clean-up."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)


if __name__ == "__main__":
    sys.exit(main())
