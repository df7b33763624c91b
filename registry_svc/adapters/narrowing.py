"""Which namespaces can hold what a selection lets through, so that the others are not searched."""

from replication.filters import Action, Dimension, Selection
from replication.glob import first_components
from replication.matchers import Glob
from replication.names import is_repository_name


def namespaces(selection: Selection) -> list[str] | None:
    """The first components of all names that may pass; None when that may be any."""
    rules = [rule for rule in selection.rules if rule.dimension is Dimension.NAME]
    if not rules or rules[0].action is Action.EXCLUDE:
        return None
    found: dict[str, None] = {}
    for rule in rules:
        if rule.action is Action.EXCLUDE:
            continue
        firsts = first_components(rule.matcher.text) if isinstance(rule.matcher, Glob) else None
        if firsts is None:
            return None
        found.update(dict.fromkeys(filter(is_repository_name, firsts)))
    return list(found)
