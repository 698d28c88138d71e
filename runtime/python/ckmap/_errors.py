"""Exceptions, with the text, codes and lists of the programs."""

from __future__ import annotations

from typing import List, NamedTuple


class Issue(NamedTuple):
    """One thing that does not fit, or that a person should know. ``code`` is stable (``ckmapc explain CK1203``)."""

    code: str
    severity: str  # "error", "warning", "note"
    tensor: str
    message: str
    notes: List[str]
    help: str
    file: str = ""
    line: int = 0
    column: int = 0

    def __str__(self) -> str:
        head = f"{self.severity}[{self.code}]: {self.message}" if self.code else f"{self.severity}: {self.message}"
        return "\n".join([head, *(f"   = note: {note}" for note in self.notes), *([f"   = help: {self.help}"] if self.help else [])])


class Error(Exception):
    """The base of all errors of ckmap. ``code`` is the exit code that the programs give for it."""

    def __init__(self, code: int, message: str, issues: List[Issue]):
        super().__init__(message)
        self.code = code
        self.issues = issues


class MisfitError(Error, ValueError):
    """The rules do not fit the source or the target. ``issues`` lists everything that does not fit."""


class CompileError(MisfitError):
    """Rules with mistakes. Each issue has ``file``, ``line`` and ``column``."""


class UsageError(Error, ValueError):
    """An argument that makes no sense."""


class MalformedError(Error, ValueError):
    """A file that is broken, hostile, or of a kind that is refused."""


class InputOutputError(Error, OSError):
    """The operating system refused."""


class LimitError(Error):
    """A stated limit was reached."""


class StoppedError(Error):
    """The run was stopped."""


_KINDS = {1: MisfitError, 2: UsageError, 3: MalformedError, 4: InputOutputError, 5: LimitError, 6: StoppedError}


def make(code: int, message: str, issues: List[Issue], compiling: bool = False) -> Error:
    """The exception for an error of the library. Called by the extension modules."""
    kind = CompileError if compiling and code == 1 else _KINDS[code]
    details = [str(issue) for issue in issues if issue.severity == "error" and issue.message not in message]
    return kind(code, "\n".join([message, *details]), issues)
