"""Print one closing line over the results of all stages, as pytest words it."""

import sys
from pathlib import Path
from xml.etree import ElementTree as ET


def count(folder: Path) -> tuple[int, int, int]:
    """How many tests passed, failed and were skipped in all JUnit files of `folder`."""
    passed = failed = skipped = 0
    for path in sorted(folder.glob("*.xml")):
        # Our own test run wrote the file a moment ago.
        for suite in ET.parse(path).getroot().iter("testsuite"):  # noqa: S314
            broken = int(suite.get("failures", 0)) + int(suite.get("errors", 0))
            left_out = int(suite.get("skipped", 0))
            failed += broken
            skipped += left_out
            passed += int(suite.get("tests", 0)) - broken - left_out
    return passed, failed, skipped


if __name__ == "__main__":
    passed_count, failed_count, skipped_count = count(Path(sys.argv[1]))
    print(f"{passed_count} passed, {failed_count} failed, {skipped_count} skipped")
