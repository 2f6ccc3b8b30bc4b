"""The program: `crossfade`, or `python -m crossfade`."""

import sys
from collections.abc import Sequence

from crossfade.control.cli.overview import overview, own_version


def main(words: Sequence[str] | None = None) -> int:
    """Run one command line and return its exit code."""
    typed = list(sys.argv[1:] if words is None else words)
    if typed in ([], ["--help"], ["-h"], ["help"]):
        sys.stdout.write(overview() + "\n")
        return 0
    if typed == ["--version"]:
        sys.stdout.write(own_version() + "\n")
        return 0
    # Loaded only now: the first page must not wait for it.
    from crossfade.control.cli.running import run  # noqa: PLC0415

    return run(typed)


if __name__ == "__main__":
    sys.exit(main())
