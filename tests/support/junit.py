"""junit.py RESULT.xml: what a JUnit file of GoogleTest or pytest tells, as lines for tests/run.sh.

The first line is the numbers of passed, failed and skipped tests; a line for each skipped test with its reason follows,
and for each failed one what it said and printed.
"""

import sys
import xml.etree.ElementTree

LINES_MAX = 40  # of what one failed test said


def outcome(case):
    """("passed" | "failed" | "skipped", what the test said)"""
    for tag in ("failure", "error"):
        found = case.findall(tag)
        if found:
            return "failed", "\n".join(each.text or each.get("message", "") for each in found)
    skipped = case.find("skipped")
    if skipped is not None:
        return "skipped", skipped.get("message") or "no reason given"
    if case.get("status") == "notrun":
        return "skipped", "disabled"
    return "passed", ""


def main(path):
    counts = {"passed": 0, "failed": 0, "skipped": 0}
    report = []
    for case in xml.etree.ElementTree.parse(path).iter("testcase"):
        kind, text = outcome(case)
        counts[kind] += 1
        name = f"{case.get('classname')}.{case.get('name')}"
        if kind == "skipped":
            report.append(f"    skipped  {name}: {' '.join(text.split())}")
        elif kind == "failed":
            report.append(f"    FAILED   {name}")
            printed = case.findtext("system-out", "")
            for each in (text, printed):
                report += [f"      {line}" for line in each.splitlines()[-LINES_MAX:]]
    print(*counts.values())
    print("\n".join(report), end="\n" if report else "")


if __name__ == "__main__":
    main(sys.argv[1])
