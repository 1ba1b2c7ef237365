#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Runs bench/run on little, and judges its report: every row, with sense in it; nothing left behind.

figures.py BENCH-RUN BUILD-DIRECTORY core|handlers|options
"""
import json
import math
import os
import signal
import subprocess
import sys
import tempfile

CORE = {  # row: unit, whether raw was measured beside it, goal
    "enqueue, one a call": ("jobs/s", True, None),
    "enqueue, many a call": ("jobs/s", True, None),
    "enqueue, Redis CPU": ("us/job", True, None),
    "drain, raw XACK+XDEL": ("jobs/s", False, None),
    "drain, raw XACK+XTRIM": ("jobs/s", False, None),
    "drain, one jobd": ("jobs/s", True, "ratio >= 0.4"),
    "drain, Redis CPU": ("us/job", True, None),
    "start latency, p50": ("us", True, "ratio <= 3"),
    "start latency, p99": ("us", True, None),
    "supervisor, PSS": ("KiB", False, None),
    "executor, PSS": ("KiB", False, None),
    "Redis memory": ("bytes/job", True, "value <= 160"),
    "executor killed, p50": ("ms", False, None),
    "executor killed, worst": ("ms", False, "value <= 100"),
    "jobd killed, p50": ("ms", False, None),
    "jobd killed, worst": ("ms", False, "value <= 2000"),
}
HANDLERS = {
    "mails, one executor": ("mails/s", True, None),
    "mails, an executor a core": ("mails/s", True, None),
    "avatars, one executor": ("avatars/s", True, None),
    "recipients of a reply": ("users", False, None),
    "recipients, told": ("users/s", False, None),
    "recipients, the whole job": ("ms", False, None),
    "recipients, the query": ("ms", False, None),
    "recipients, statements": ("each", False, "value <= 20"),
    "recount, threads": ("rows/s", False, None),
    "recount, categories": ("rows/s", False, None),
    "recount, users": ("rows/s", False, None),
}
KEYS = ["name", "value", "unit", "limit", "ratio", "goal", "met"]
LITTLE = {
    "core": ["core", "--jobs", "2000", "--kills", "1"],
    "handlers": ["handlers", "--users", "300", "--posts", "2000", "--avatars", "6"],
}


def is_met(row):
    what, sign, bound = row["goal"].split()
    if sign == ">=":
        return row[what] >= float(bound)
    return row[what] <= float(bound)


def judge(row, unit, beside, goal):
    assert list(row) == KEYS, row
    assert row["unit"] == unit and row["goal"] == goal, row
    assert math.isfinite(row["value"]) and row["value"] > 0, row
    if beside:
        assert row["limit"] > 0 and row["ratio"] >= 0, row
        # Medians of a single round are that round's numbers; the ratio is printed with two digits.
        assert abs(row["ratio"] - row["value"] / row["limit"]) <= 0.006, row
    else:
        assert row["limit"] is None and row["ratio"] is None, row
    if goal is None:
        assert row["met"] is None, row
    elif abs(row[goal.split()[0]] - float(goal.split()[2])) > 0.01:
        assert row["met"] is is_met(row), row


def check_report(run, part, expected):
    done = subprocess.run(run + LITTLE[part] + ["--rounds", "1", "--json"], stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert done.returncode == 0, (done.returncode, done.stdout, done.stderr)
    rows = json.loads(done.stdout)["rows"]
    assert [row["name"] for row in rows] == list(expected), rows
    for row in rows:
        judge(row, *expected[row["name"]])
    if part == "handlers":
        values = {row["name"]: row["value"] for row in rows}
        assert 100 < values["recipients of a reply"] < 300, values
        assert 10 < values["recipients, statements"] <= 20, values


def check_options(run):
    for wrong in (["everything"], ["--rounds"], ["--rounds", "0"], ["--rounds", "x"], ["--jobs", "10"],
                  ["--users", "1"], ["--posts", "1"], ["--build", "/nowhere"]):
        done = subprocess.run(run + wrong, stdin=subprocess.DEVNULL, capture_output=True, text=True)
        assert done.returncode == 2 and "usage: bench/run" in done.stderr, (wrong, done)
    done = subprocess.run(run + ["--help"], capture_output=True, text=True)
    assert done.returncode == 0 and "usage: bench/run" in done.stdout, done

    running = subprocess.Popen(run + ["core", "--rounds", "1000", "--jobs", "1000"], stdin=subprocess.DEVNULL,
                               stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    for line in running.stderr:
        if line.startswith("round 2 "):
            break
    running.send_signal(signal.SIGTERM)
    running.stderr.read()
    assert running.wait() == 130, running.returncode


def main():
    program, build, part = sys.argv[1:]
    with tempfile.TemporaryDirectory(prefix="jb", dir=os.environ.get("TMPDIR", "/var/tmp")) as directory:
        # PostgreSQL runs as another user below it.
        os.chmod(directory, 0o755)
        os.environ["TMPDIR"] = directory
        run = [program, "--yes", "--build", build]
        if part == "options":
            check_options(run)
        else:
            check_report(run, part, CORE if part == "core" else HANDLERS)
        assert os.listdir(directory) == [], os.listdir(directory)


main()
