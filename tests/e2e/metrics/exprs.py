#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Every metric that the alert rules, their tests and the dashboard name exists, with the labels they use.

exprs.py SOURCE        SOURCE: root of the repository; docs/metrics.md there is the table.
exprs.py SOURCE list   prints the expressions of the dashboard, one a line, its variables filled in
"""
import json
import re
import sys

root = sys.argv[1]
AUTO = {"job", "instance", "le", "__name__", "severity", "alertname"}


def table():
    metrics = {}
    for line in open(root + "/docs/metrics.md"):
        row = re.match(r"\| `(\w+)` \| (\w+) \| \w* \| ([\w ]*) \|", line)
        if row:
            metrics[row[1]] = (row[2], set(row[3].split()))
    return metrics


def dashboard():
    board = json.load(open(root + "/contrib/grafana/jobq.json"))
    for panel in board["panels"]:
        for target in panel.get("targets", []):
            yield target["expr"]
    for note in board["annotations"]["list"]:
        yield note["expr"]


def plain(expr):
    return re.sub(r"\$\w+", ".*", expr.replace("$__rate_interval", "5m"))


def check(where, text, metrics, bad):
    names = 0
    for name, selector in re.findall(r"\b((?:jobq|process)_\w+)(\{[^}]*\})?", text):
        base = re.sub(r"_(bucket|sum|count)$", "", name)
        kind = metrics.get(base, metrics.get(name))
        if kind is None:
            bad.append("%s: no metric %s" % (where, name))
            continue
        names += 1
        for label in re.findall(r"(\w+)\s*(?:=~|!~|!=|=)", selector):
            if label not in kind[1] | AUTO:
                bad.append("%s: %s has no label %s" % (where, name, label))
    known = set().union(*(labels for _, labels in metrics.values())) | AUTO
    for labels in re.findall(r"\bby \(([\w, ]*)\)", text):
        for label in labels.replace(" ", "").split(","):
            if label not in known:
                bad.append("%s: by (%s): no metric has that label" % (where, label))
    return names


def main():
    metrics = table()
    bad = []
    if len(metrics) < 20:
        bad.append("docs/metrics.md: only %d metrics found" % len(metrics))
    found = 0
    for name in ("jobq.rules.yml", "jobq.rules.test.yml"):
        found += check(name, open(root + "/contrib/prometheus/" + name).read(), metrics, bad)
    for expr in dashboard():
        found += check("jobq.json", expr, metrics, bad)
    board = open(root + "/contrib/grafana/jobq.json").read()
    found += check("jobq.json", " ".join(re.findall(r"label_values\((\w+)", board)), metrics, bad)
    if found < 60:
        bad.append("only %d names found: is the search broken?" % found)
    print("\n".join(bad))
    return 1 if bad else 0


if len(sys.argv) > 2:
    print("\n".join(plain(e) for e in dashboard()))
    sys.exit(0)
sys.exit(main())
