"""Resource names from what people type: `nightly`, a uid, or the full `policies/nightly`."""


def registry_name(text: str) -> str:
    return _below("registries", text)


def policy_name(text: str) -> str:
    return _below("policies", text)


def execution_name(text: str) -> str:
    return _below("executions", text)


def task_name(text: str, *, execution: str = "") -> str:
    """The task of a full name, or of an id below its execution."""
    return text if "/" in text else f"{execution_name(execution)}/tasks/{text}"


def event_name(text: str) -> str:
    return _below("events", text)


def event_source_name(text: str) -> str:
    """The event source of a name of its own, or of its registry's."""
    return _below("eventSources", text.removeprefix("registries/"))


def _below(collection: str, text: str) -> str:
    return text if text.startswith(f"{collection}/") else f"{collection}/{text}"
