"""What is wrong with a pattern that somebody wrote."""


class PatternInvalid(ValueError):
    """The pattern cannot be used; `position` is where, counted from 0, when that is known."""

    def __init__(self, pattern: str, why: str, position: int | None = None) -> None:
        super().__init__(why if position is None else f"{why} (at character {position + 1})")
        self.pattern = pattern
        self.why = why
        self.position = position
