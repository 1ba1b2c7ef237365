# SPDX-License-Identifier: MIT
"""Decodes mails by Python's parsers, which know nothing of ours.

Input: a JSON list of messages. Output: for each of them its headers in order, the same values by Python's older
decoder, addresses, parts, defects, and facts of the raw bytes.
"""
import email
import email.header
import email.policy
import email.utils
import json
import re
import sys


def old_text(value):
    return str(email.header.make_header(email.header.decode_header(value)))


def addresses(message, name):
    return [[a.display_name, a.addr_spec] for h in message.get_all(name, []) for a in h.addresses]


def old_addresses(message, name):
    found = email.utils.getaddresses(message.get_all(name, []))
    return [[old_text(shown), addr] for shown, addr in found]


def word_is_whole(word):
    """Each encoded word is text of its own, of at most 75 characters."""
    (data, charset), = email.header.decode_header(word)
    data.decode(charset)
    return len(word) <= 75


def look(raw):
    new = email.message_from_bytes(raw, policy=email.policy.default)
    old = email.message_from_bytes(raw)
    head = raw.split(b"\r\n\r\n", 1)[0]
    lines = raw.split(b"\r\n")
    defects = [str(d) for part in new.walk() for d in part.defects]
    defects += [f"{k}: {d}" for k, v in new.items() for d in v.defects]
    return {
        "names": [k for k, v in new.items()],
        "headers": {k: str(v) for k, v in new.items()},
        "old_subject": old_text(re.sub(r"\r\n", "", old["Subject"])),
        "from": addresses(new, "From"),
        "to": addresses(new, "To"),
        "reply_to": addresses(new, "Reply-To"),
        "old_from": old_addresses(old, "From"),
        "old_to": old_addresses(old, "To"),
        "date": email.utils.parsedate_to_datetime(new["Date"]).timestamp() * 1000,
        "type": new.get_content_type(),
        "boundary": new.get_boundary(),
        "parts": [
            {
                "type": p.get_content_type(),
                "charset": p.get_content_charset(),
                "encoding": p["Content-Transfer-Encoding"],
                "text": p.get_payload(decode=True).decode("utf-8"),
            }
            for p in new.iter_parts()
        ],
        "defects": defects,
        "words_are_whole": all(map(word_is_whole, re.findall(r"=\?UTF-8\?[BQ]\?[^?]*\?=", head.decode()))),
        "longest_header": max(map(len, head.split(b"\r\n"))),
        "longest_line": max(map(len, lines)),
        "is_ascii": raw.isascii(),
        "has_bare": re.search(rb"(?<!\r)\n|\r(?!\n)", raw) is not None,
        "has_dot_line": any(line.startswith(b".") for line in lines),
        "ends_with_crlf": raw.endswith(b"\r\n"),
    }


json.dump([look(m.encode("utf-8")) for m in json.load(sys.stdin)], sys.stdout)
