"""Errors a reader can act on: what is wrong, with what, and the next step.

``exit_code`` is what the command line returns, so that scripts can tell the
families apart.
"""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar


class Her2Error(Exception):
    """Base of every error this package raises on purpose.

    Parameters
    ----------
    problem
        What is wrong, naming the thing.
    next_step
        What the reader can do about it.
    """

    exit_code: ClassVar[int] = 1

    def __init__(self, problem: str, next_step: str) -> None:
        super().__init__(problem, next_step)
        self.problem = problem
        self.next_step = next_step

    def __str__(self) -> str:
        return f"{self.problem} {self.next_step}"


class UsageError(Her2Error):
    """The request itself makes no sense (a region outside the slide, say)."""

    exit_code = 2


class _FileError(Her2Error):
    """An error about a file or folder, which is named without its folder."""

    def __init__(
        self, path: Path | str, problem: str, next_step: str, what: str = ""
    ) -> None:
        self.path = Path(path)
        super().__init__(problem, next_step)
        self.detail = problem
        self.name_it(what or self.path.name)

    def name_it(self, what: str) -> None:
        """Say from now on what the error is about in these words."""
        self.what = what
        self.problem = f"{what}: {self.detail}"
        self.args = (self.path, self.detail, self.next_step, what)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({str(self)!r})"


class _PatientFileError(_FileError):
    """An error about a file whose name may say who the patient is.

    Files and folders of slides carry names and accession numbers, and an error
    ends in a notice, on a terminal or in a log. So its words never hold the name;
    ``path`` is there for the program that asked.
    """

    usual_name: ClassVar[str]

    def __init__(
        self, path: Path | str, problem: str, next_step: str, what: str = ""
    ) -> None:
        super().__init__(path, problem, next_step, what or self.usual_name)


class SlideError(_PatientFileError):
    """A slide file cannot be read, or is not what it was given as.

    The words name the slide by its stain where that is known.
    """

    exit_code = 3
    usual_name = "Slide"


class CaseError(_PatientFileError):
    """A case manifest is broken or points where it must not."""

    exit_code = 4
    usual_name = "Case"


class BundleError(_FileError):
    """A model bundle is refused."""

    exit_code = 5


class StorageError(_FileError):
    """Results, journal or exports cannot be written or read back."""

    exit_code = 6


class NotReadyError(Her2Error):
    """Something cannot run now; ``problem`` is the reason shown to the reader."""

    exit_code = 7


class ReviewError(Her2Error):
    """A decision is refused (no reader's name, no reason, wrong order)."""

    exit_code = 8
