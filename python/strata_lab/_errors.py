"""The errors of this package."""

from __future__ import annotations


class StrataError(Exception):
    """The base of all errors that this package defines."""


class RequestError(StrataError):
    """A program was started without a request, or its request cannot be read."""


class OutputError(StrataError):
    """An output is missing, or is not what the form of its port asks for."""


class BinaryError(StrataError):
    """The binary `strata` is not there, or refused a command.

    Attributes:
        code: its exit code; None if it could not be started.
    """

    def __init__(self, message: str, code: int | None = None) -> None:
        """Makes the error from the message of the binary."""
        super().__init__(message)
        self.code = code


class UnknownResult(StrataError, KeyError):
    """There is no such instance or output, or it is not in the cache. The message says how to make it."""

    def __str__(self) -> str:
        """Returns the message as it is; a plain `KeyError` would show it in quotes."""
        return str(self.args[0]) if self.args else ""
