"""Where the references of one job go: each to a tag of its own, or which of them came last would be chance."""

from jobservice.domain import Work
from jobservice.errors import DestinationTagReused
from jobservice.transfer import ReplicateWork
from service_kit.errors import FieldViolation


def reused_tag(work: Work) -> DestinationTagReused | None:
    """The first reference whose tag at the destination is that of another one before it."""
    if not isinstance(work, ReplicateWork):
        return None
    goes_to: dict[str, str] = {}
    for place, reference in enumerate(work.references):
        source, tag = str(reference), reference.tag_there
        if tag and goes_to.setdefault(tag, source) != source:
            field = f"replicate.references[{place}].destination_tag"
            violation = FieldViolation(field, f"{goes_to[tag]} becomes {tag} as well", DestinationTagReused.reason)
            return DestinationTagReused(
                tag=tag, sources=f"{goes_to[tag]}, {source}", field=field, violations=[violation]
            )
    return None
