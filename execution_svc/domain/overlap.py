"""What becomes of a run that is to start while others of its policy have not ended."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from execution_svc.domain.execution import ExecutionId, StartRequest
from execution_svc.domain.origin import Trigger


class Overlap(StrEnum):
    """As the policy says it."""

    QUEUE = "QUEUE"
    SKIP = "SKIP"
    REPLACE = "REPLACE"

    @classmethod
    def of(cls, request: StartRequest) -> "Overlap":
        """What events say would be lost with a run that is left out, so they always wait for their turn."""
        if request.origin.trigger is Trigger.EVENT:
            return cls.QUEUE
        told = str(request.policy.document.get("overlap", "")).removeprefix("OVERLAP_")
        return cls(told) if told in set(cls) else cls.QUEUE


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenExecution:
    """Another execution of the policy that has not ended."""

    id: ExecutionId
    pending: bool
    by_event: bool
    whole: bool  # whether it is about all of the source
    same_policy: bool  # whether the policy was as it is now


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """The place of a new run among the others: it is left out, or it waits for those that are not stopped for it."""

    skipped: str = ""  # why it is left out
    stopped: tuple[ExecutionId, ...] = ()


def place(request: StartRequest, others: Sequence[OpenExecution]) -> Place:
    """`others` has the open executions of the policy in the order in which they were started."""
    match Overlap.of(request):
        case Overlap.SKIP if others:
            return Place(skipped=f"Not run, since executions/{others[0].id} has not ended.")
        case Overlap.REPLACE:
            return Place(stopped=tuple(each.id for each in others if not each.by_event))
        case Overlap.QUEUE if request.origin.trigger is not Trigger.EVENT:
            # The first may run any moment; those behind it wait for sure, and will see all that there is by now.
            waiting = [each for each in others[1:] if each.pending and each.whole and each.same_policy]
            return (
                Place(skipped=f"Not run, since executions/{waiting[0].id} waits and will do it.")
                if waiting
                else Place()
            )
        case _:
            return Place()


def replaced_by(execution: ExecutionId) -> str:
    """What a stopped execution says of itself."""
    return f"Stopped, since executions/{execution} replaces it."
