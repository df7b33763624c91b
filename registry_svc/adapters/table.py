"""The table of adapters: ours by name, those of third parties by their entry points."""

from collections.abc import Iterable, Sequence
from importlib.metadata import entry_points
from typing import Final

from registry_svc.adapters.base import AdapterType
from registry_svc.adapters.docker_hub import DOCKER_HUB
from registry_svc.adapters.harbor import HARBOR
from registry_svc.adapters.native import DOCKER_REGISTRY
from registry_svc.domain.errors import AdapterUnknown

ENTRY_POINT_GROUP: Final = "transship.adapters"

BUILT_IN: Final[tuple[AdapterType, ...]] = (DOCKER_HUB, DOCKER_REGISTRY, HARBOR)


class AdapterTable:
    """Adapters by their types."""

    def __init__(self, types: Iterable[AdapterType] = BUILT_IN) -> None:
        self._types: dict[str, AdapterType] = {}
        for each in types:
            if each.type in self._types:
                raise ValueError(f"two adapters are of the type {each.type}")
            self._types[each.type] = each

    def get(self, type_: str) -> AdapterType:
        """Raises AdapterUnknown."""
        try:
            return self._types[type_]
        except KeyError:
            raise AdapterUnknown(type=type_, known=", ".join(sorted(self._types))) from None

    def list(self) -> Sequence[AdapterType]:
        """All of them, in the order of their types."""
        return [self._types[type_] for type_ in sorted(self._types)]


def installed() -> AdapterTable:
    """Ours, and those that installed packages offer. Raises ValueError when two are of one type."""
    return AdapterTable([*BUILT_IN, *(point.load() for point in entry_points(group=ENTRY_POINT_GROUP))])
