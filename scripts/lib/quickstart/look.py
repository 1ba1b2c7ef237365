#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Looks at what the handlers left behind, knowing nothing of them.

    look.py mails SPOOL            a line for each mail that the server accepted: its recipient, its Message-ID
    look.py avatars MEDIA < LINES  lines "FILE SIZE": says of each that is not a PNG image of SIZE by SIZE what it is
"""
import json
import pathlib
import struct
import sys


def mails(spool):
    for path in pathlib.Path(spool).glob("*.json"):
        mail = json.loads(path.read_text())
        headers = dict(mail["headers"])
        if mail["defects"] or not headers.get("Subject") or set(mail["parts"]) != {"text/plain", "text/html"}:
            print("unreadable", path.name)
        else:
            print(mail["to"][0], headers["Message-ID"])


def avatars(media):
    for line in sys.stdin:
        name, size = line.split()
        try:
            head = (pathlib.Path(media) / name).read_bytes()[:24]
        except OSError as error:
            print(name, error.strerror)
            continue
        if head[:8] != b"\x89PNG\r\n\x1a\n" or struct.unpack(">II", head[16:24]) != (int(size), int(size)):
            print(name, "is no image of", size)


{"mails": mails, "avatars": avatars}[sys.argv[1]](sys.argv[2])
