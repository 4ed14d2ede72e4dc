"""The command line: the same functions as the window, for scripts and clusters.

Every error a user can act on is one line on standard error and an exit code by
family (see ``core.errors``); data go to standard output, progress does not.
"""

from __future__ import annotations

import sys

from napari_her2.core.errors import Her2Error


def main() -> None:
    """Run ``napari-her2`` with the arguments of this process."""
    # imported late: `import napari_her2.cli` stays cheap for tools that scan it
    from napari_her2.cli.commands import commands

    try:
        commands()
    except Her2Error as error:
        print(f"napari-her2: {error}", file=sys.stderr)  # noqa: T201 - the command line
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        sys.exit(130)
