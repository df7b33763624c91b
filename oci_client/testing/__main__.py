"""Runs one fake registry until it is interrupted: `python -m oci_client.testing --port 5000`."""

import argparse
import asyncio
from contextlib import suppress

from oci_client.testing.auth import BasicAuth
from oci_client.testing.registry import FakeRegistry


async def _serve(registry: FakeRegistry) -> None:
    async with registry:
        print(registry.url, flush=True)  # noqa: T201 - the caller reads where it listens
        await asyncio.Event().wait()


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m oci_client.testing", description=__doc__)
    parser.add_argument("--port", type=int, default=0, help="0 chooses a free one; the URL is printed")
    parser.add_argument("--username", help="ask for this user")
    parser.add_argument("--password", default="", help="and this password")
    args = parser.parse_args()
    auth = BasicAuth(username=args.username, password=args.password) if args.username else None
    with suppress(KeyboardInterrupt):
        asyncio.run(_serve(FakeRegistry(auth=auth, port=args.port)))


main()
