"""Writes what became of each test to the file $REPORT, one JSON line a test."""

import json
import os


def pytest_runtest_logreport(report):
    # Of a test that runs, its call says it all; of another, the step that kept it from running.
    if report.when != "call" and report.passed:
        return
    why = ""
    if report.failed:
        why = report.longrepr.reprcrash.message.splitlines()[0]
    elif report.skipped:
        why = report.longrepr[2]
    with open(os.environ["REPORT"], "a") as file:
        file.write(json.dumps({"test": report.nodeid, "outcome": report.outcome, "why": why}) + "\n")
