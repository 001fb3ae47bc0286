"""InputError: the one error a user can cause."""

from __future__ import annotations

from contextlib import ContextDecorator
from typing import Any

from aitom_cryosam.doors import Door, running
from aitom_cryosam.remedies import Remedy


class InputError(ValueError):
    """A file, option or value that cannot be used: one sentence for the user.

    The sentence says what came, what was expected and what to do. The command line prints it
    on stderr and exits with status 2; anything else that is raised is a defect.

    Args:
        problem: the sentence; without its full stop and the remedy, if there is one.
        remedy: what to do.
        values: that the remedy names.

    Attributes:
        problem: as above.
        remedy: as above, or None if the sentence is complete.
        door: whose words `str` takes; None for those of the running program.
    """

    def __init__(self, problem: str, remedy: Remedy | None = None, **values: Any) -> None:
        super().__init__(problem)
        self.problem = problem
        self.remedy = remedy
        self.values = values
        self.door: Door | None = None

    def __str__(self) -> str:
        return self.worded(self.door or running().door)

    def worded(self, door: Door) -> str:
        """The sentence as a door says it."""
        if self.remedy is None:
            return self.problem
        return f"{self.problem}; {self.remedy.worded(door, **self.values)}."

    def instead(self, remedies: dict[Remedy, Remedy]) -> InputError:
        """The same problem, with another remedy for some."""
        found = remedies.get(self.remedy, self.remedy) if self.remedy else None
        return InputError(self.problem, found, **self.values)


def expect_kind(value: object, kind: type, what: str) -> None:
    """Refuse what a caller in Python has taken for something else.

    Args:
        value: that was given.
        kind: that it must be of.
        what: is expected, in the words of the sentence.

    Raises:
        InputError: it is of another kind.
    """
    if not isinstance(value, kind):
        raise InputError(f"Expected {what}, got a value of the type {type(value).__name__}.")


class at_door(ContextDecorator):
    """Errors that leave the block, or the decorated function, speak in the words of a door."""

    def __init__(self, door: Door) -> None:
        self.door = door

    def __enter__(self) -> at_door:
        return self

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        if isinstance(error, InputError):
            error.door = self.door
