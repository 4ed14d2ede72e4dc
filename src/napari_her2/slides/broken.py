"""What may be said of a file that proved to be broken."""

from __future__ import annotations


class Broken(ValueError):
    """A format module found something wrong; its words quote nothing of the file."""


def kind_of(error: Exception) -> str:
    """Return what may be told of a library's error.

    What a library says of a file may quote it: a path, a tag, a name in metadata.
    So only the kind of its error is passed on, unless the words are our own.
    """
    return str(error) if isinstance(error, Broken) else type(error).__name__
