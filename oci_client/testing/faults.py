"""When the registry misbehaves: rules that lay an effect over the requests they match.

What can go wrong is in `effects`; how a product differs for good is in `behaviour` and `products`.
"""

import re
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from functools import partial

from oci_client.testing.messages import Action, Handler, Reply, Request

Effect = Callable[[Request, Handler], Awaitable[Reply]]
"""Stands between a request and its handler: may answer itself, change the request, or change the reply."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Match:
    """Which requests a rule is for; what is not given matches everything."""

    method: str | None = None
    action: Action | None = None
    repository: str | None = None
    path: str | None = None
    """A regular expression, searched for."""
    where: Callable[[Request], bool] | None = None

    def __call__(self, request: Request) -> bool:
        return (
            self.method in (None, request.method)
            and self.action in (None, request.action)
            and self.repository in (None, request.repository)
            and (self.path is None or re.search(self.path, request.path) is not None)
            and (self.where is None or self.where(request))
        )


EVERYTHING = Match()


@dataclass(slots=True, kw_only=True)
class Rule:
    """An effect on the matching requests: on the next `times` of them, after `skip` that pass untouched.

    A request that the registry turns away with 401 counts for no rule.
    """

    effect: Effect
    match: Match = EVERYTHING
    times: int | None = None
    skip: int = 0
    hits: int = 0
    """How many requests it has met."""

    def takes(self, request: Request) -> bool:
        """Whether the effect is for this request; counts it."""
        if self.times == self.hits or not self.match(request):
            return False
        if self.skip:
            self.skip -= 1
            return False
        self.hits += 1
        return True


@dataclass(slots=True)
class Faults:
    """The rules in force."""

    rules: list[Rule] = field(default_factory=list)

    def add(self, rules: Iterable[Rule]) -> None:
        self.rules.extend(rules)

    def clear(self) -> None:
        self.rules.clear()

    async def answer(self, request: Request, handler: Handler) -> Reply:
        """The handler's reply under all effects that take the request; the rule made first is outermost."""
        taken = [rule for rule in self.rules if rule.takes(request)]
        for rule in reversed(taken):
            handler = partial(_under, rule.effect, handler)
        return await handler(request)


async def _under(effect: Effect, handler: Handler, request: Request) -> Reply:
    return await effect(request, handler)
