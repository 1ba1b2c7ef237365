#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Asks a Prometheus.

ask.py PORT EXPRESSION   prints the value of the first sample of the answer, "none" when there is none; 1: an error
ask.py PORT -            every line of stdin is an expression; prints those that are an error or have no sample
"""
import json
import sys
import urllib.error
import urllib.parse
import urllib.request


def ask(expr):
    url = "http://127.0.0.1:%s/api/v1/query?query=%s" % (sys.argv[1], urllib.parse.quote(expr))
    try:
        answer = json.load(urllib.request.urlopen(url, timeout=20))
    except urllib.error.HTTPError as e:
        return "error: %s" % e.read().decode(), 1
    except OSError as e:
        return "error: %s" % e, 1
    result = answer["data"]["result"]
    return (result[0]["value"][1] if result else "none"), 0


if sys.argv[2] != "-":
    text, status = ask(sys.argv[2])
    print(text)
    sys.exit(status)
bad = 0
for line in sys.stdin.read().splitlines():
    text, status = ask(line)
    # What happens seldom is shown only then.
    if status or (text == "none" and not line.endswith("> 0")):
        bad = 1
        print("%s: %s" % (line, text))
sys.exit(bad)
