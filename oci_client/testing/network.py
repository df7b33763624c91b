"""A network of names and addresses that are made up."""

import time
from collections.abc import Callable, Collection, Mapping, Sequence

from oci_client.network import Network


class PretendedNetwork(Network):
    """Names with the addresses that they are given here, and addresses of which some count as public.

    A name with several lists of addresses gives one after the other, and stays with the last.
    """

    def __init__(
        self,
        *,
        public: Collection[str] = (),
        names: Mapping[str, Sequence[Sequence[str]]] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(clock=clock)
        self._public = public
        self._names = {name: list(answers) for name, answers in (names or {}).items()}
        self.asked: list[str] = []

    def resolve(self, host: str) -> list[str]:
        self.asked.append(host)
        if host not in self._names:
            return super().resolve(host)
        answers = self._names[host]
        return list(answers.pop(0) if len(answers) > 1 else answers[0])

    def is_public(self, address: str) -> bool:
        return address in self._public
