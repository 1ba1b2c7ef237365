#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Reads a scrape with prometheus_client's own parser and checks it against docs/metrics.md.

parse.py SOURCE < SCRAPE
"""
import math
import re
import sys

from prometheus_client.parser import text_string_to_metric_families


def table(root):
    metrics = {}
    for line in open(root + "/docs/metrics.md"):
        row = re.match(r"\| `(\w+)` \| (\w+) \| \w* \| ([\w ]*) \|", line)
        if row:
            metrics[row[1]] = (row[2], row[3].split())
    return metrics


def check_histogram(family, bad):
    series = {}
    for sample in family.samples:
        labels = dict(sample.labels)
        bound = labels.pop("le", None)
        one = series.setdefault(tuple(sorted(labels.items())), {"buckets": []})
        if sample.name.endswith("_bucket"):
            one["buckets"].append((float(bound), sample.value))
        else:
            one[sample.name[len(family.name):]] = sample.value
    for labels, one in series.items():
        bounds = [b for b, _ in one["buckets"]]
        counts = [c for _, c in one["buckets"]]
        if bounds != sorted(bounds) or bounds[-1] != math.inf or len(set(bounds)) != len(bounds):
            bad.append("%s%s: bounds %s" % (family.name, labels, bounds))
        if counts != sorted(counts) or counts[-1] != one["_count"]:
            bad.append("%s%s: counts %s, in all %s" % (family.name, labels, counts, one["_count"]))
        if one["_sum"] < 0 or (one["_count"] == 0) != (one["_sum"] == 0 and one["_count"] == 0):
            bad.append("%s%s: sum %s" % (family.name, labels, one["_sum"]))


def main():
    metrics = table(sys.argv[1])
    bad, seen, samples = [], {}, set()
    for family in text_string_to_metric_families(sys.stdin.read()):
        name = family.name + ("_total" if family.type == "counter" else "")
        kind, labels = metrics.get(name, (None, None))
        if kind != family.type:
            bad.append("%s is a %s, in the table a %s" % (name, family.type, kind))
            continue
        if name in seen:
            bad.append("%s comes twice" % name)
        if not family.documentation:
            bad.append("%s has no help" % name)
        seen[name] = len(family.samples)
        for sample in family.samples:
            key = (sample.name, tuple(sorted(sample.labels.items())))
            if key in samples:
                bad.append("%s%s comes twice" % key)
            samples.add(key)
            if sorted(set(sample.labels) - {"le"}) != sorted(labels):
                bad.append("%s has labels %s, in the table %s" % (sample.name, sample.labels, labels))
            if kind == "counter" and sample.value < 0:
                bad.append("%s is %s" % (sample.name, sample.value))
        if kind == "histogram":
            check_histogram(family, bad)
    for name in metrics:
        if not seen.get(name):
            bad.append("%s is in the table and not told" % name)
    print("\n".join(bad))
    return 1 if bad or len(seen) < 20 else 0


sys.exit(main())
