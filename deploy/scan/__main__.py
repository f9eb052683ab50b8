"""``make scan``: checkov looks at the templates, parliament at their policies.

What they find and we mean to keep is listed in `skips`, each with its reason. Anything else fails,
and so does a line of that list which they no longer find.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from deploy.scan.policies import TEMPLATES
from deploy.scan.policies import main as write_policies
from deploy.scan.skips import SKIPS, Finding

BIN: Final = Path(sys.executable).parent
POLICIES: Final = Path("build/policies")
CHECKOV: Final = (
    "--framework", "cloudformation", "--directory", str(TEMPLATES), "--skip-download",
    "--output", "json", "--compact", "--quiet",
)  # fmt: skip
# A finding is no failure here: it is judged by the list.
PARLIAMENT: Final = (
    "--directory", str(POLICIES), "--include_policy_extension", "json",
    "--include-community-auditors", "--json",
)  # fmt: skip


def checkov() -> Iterator[Finding]:
    """What checkov finds."""
    report = json.loads(_run("checkov", *CHECKOV))
    if not report["summary"]["passed"] or report["summary"]["parsing_errors"]:
        sys.exit(f"checkov has not read the templates: {report['summary']}")
    for each in report["results"]["failed_checks"]:
        part = Path(each["file_path"]).stem
        yield Finding(each["check_id"], f"{part}.{each['resource'].rpartition('.')[2]}")


def parliament() -> Iterator[Finding]:
    """What parliament finds."""
    write_policies(POLICIES)
    for line in _run("parliament", *PARLIAMENT).splitlines():
        each = json.loads(line)
        part, resource, _ = Path(each["location"]["filepath"]).stem.split("-")
        yield Finding(each["issue"], f"{part}.{resource}")


def _run(tool: str, *words: str) -> str:
    # Both exit with 1 if there is any finding; what they could not do they say on stderr.
    done = subprocess.run([BIN / tool, *words], capture_output=True, text=True, check=False)
    if done.returncode not in (0, 1):
        sys.exit(f"{tool}: {done.stderr}")
    return done.stdout


def judged(found: set[Finding]) -> list[str]:
    """What is wrong with the findings, held against the list: a line each."""
    known = {Finding(rule, where) for rule, skip in SKIPS.items() for where in skip.where}
    new = [f"{each.rule} at {each.where}: not reviewed" for each in sorted(found - known)]
    gone = [f"{each.rule} at {each.where}: no longer found" for each in sorted(known - found)]
    return new + gone


def main() -> int:
    """Look, and say what is wrong; 0 if nothing is."""
    found = {*checkov(), *parliament()}
    wrong = judged(found)
    for line in wrong:
        print(line, file=sys.stderr)
    if not wrong:
        print(f"scanned: {len(found)} findings, all of them reviewed (deploy/scan/skips.py)")
    return bool(wrong)


if __name__ == "__main__":
    sys.exit(main())
