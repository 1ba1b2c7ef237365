#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""A mail server that keeps what it gets in a directory, and misbehaves when told to.

    smtp_server.py --spool DIR [--port N] [--smtps-port N] [--cert FILE --key FILE]
                   [--require-tls] [--auth USER:PASSWORD]

It listens on 127.0.0.1 (a port of 0 is chosen by the kernel; no --smtps-port: no SMTPS) and says on stdout
"ready PORT SMTPS-PORT". In DIR it writes

    N.eml      the bytes of the N-th accepted mail, as they came after DATA (dots unstuffed)
    N.json     the same taken apart by an independent parser: envelope, headers, parts
    events     one line a step: connection number, step, argument ("3 rcpt bob@example.org")

and reads the rules, again whenever the file is another one:

    rules      lines "STEP MATCH TIMES ACTION": at that step (connect ehlo starttls auth mail rcpt data end), when the
               argument holds MATCH (* is anything), that many times (* is always)
                 550 5.1.1 no       the answer instead of what would be said; after 421 the connection closes
                 hang               says nothing any more
                 drip MS TEXT       TEXT byte by byte, then hangs
                 flood BYTES        so many bytes without a line end, then hangs
                 close, reset       ends the connection, in good order or not
                 delay MS           goes on later
                 wait               goes on when the file is another one
               and at "end", the end of the message, after it was kept
                 accept-close accept-reset accept-hang

Needs python3-aiosmtpd.
"""
import argparse
import asyncio
import email
import email.policy
import json
import os
import pathlib
import socket
import ssl
import struct

import warnings

from aiosmtpd.smtp import SMTP, AuthResult

warnings.simplefilter("ignore")  # logins without TLS, names that change: this is no server for the world

STEPS = ("connect", "ehlo", "starttls", "auth", "mail", "rcpt", "data", "end")


class Gone(Exception):
    """The connection was ended here."""


class Rules:
    def __init__(self, path):
        self.path = path
        self.seen = None
        self.rules = []

    def version(self):
        try:
            st = self.path.stat()
        except FileNotFoundError:
            return None
        return st.st_ino, st.st_mtime_ns

    async def changed(self):
        seen = self.seen
        while self.version() == seen:
            await asyncio.sleep(0.01)

    def read(self):
        version = self.version()
        if version is not None and version == self.seen:
            return
        self.seen, self.rules = version, []
        if version is None:
            return
        for line in self.path.read_text().splitlines():
            if line.strip() and not line.startswith("#"):
                step, match, times, action = line.split(None, 3)
                if step not in STEPS:
                    raise SystemExit(f"rules: no step {step}")
                self.rules.append([step, match, -1 if times == "*" else int(times), action])

    def find(self, step, argument):
        self.read()
        for rule in self.rules:
            if rule[0] == step and rule[2] != 0 and (rule[1] == "*" or rule[1] in argument):
                rule[2] -= 1 if rule[2] > 0 else 0
                return rule[3]
        return None


class Spool:
    def __init__(self, directory):
        self.directory = pathlib.Path(directory)
        self.directory.mkdir(parents=True, exist_ok=True)
        self.rules = Rules(self.directory / "rules")
        self.events = open(self.directory / "events", "a", buffering=1, encoding="utf-8")
        self.mails = len(list(self.directory.glob("*.eml")))
        self.connections = 0

    def note(self, connection, step, argument=""):
        self.events.write(f"{connection} {step} {argument}".rstrip() + "\n")

    def keep(self, connection, tls, user, envelope):
        self.mails += 1
        path = self.directory / f"{self.mails}.eml"
        parsed = email.message_from_bytes(envelope.content, policy=email.policy.default)
        parts = {part.get_content_type(): part.get_content() for part in parsed.walk() if not part.is_multipart()}
        facts = {
            "connection": connection, "tls": tls, "user": user, "from": envelope.mail_from,
            "to": envelope.rcpt_tos, "headers": [[k, str(v)] for k, v in parsed.items()],
            "defects": [str(d) for part in parsed.walk() for d in part.defects], "parts": parts,
        }
        for name, data in ((path, envelope.content), (path.with_suffix(".json"), json.dumps(facts).encode())):
            temporary = name.with_name(name.name + ".part")
            temporary.write_bytes(data)
            temporary.rename(name)
        self.note(connection, "kept", f"{self.mails} {parsed['Message-ID']}")


class Server(SMTP):
    """One connection."""

    def __init__(self, spool, smtps, **options):
        super().__init__(self, **options)
        self.spool = spool
        self.smtps = smtps
        self.number = 0
        self.user = None

    # ---- the rules ----

    def end(self, reset):
        transport = self.transport
        if reset:
            plain = transport.get_extra_info("socket")
            plain.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            transport.abort()
        else:
            transport.close()
        raise Gone

    async def hang(self):
        self._timeout_handle.cancel()
        await asyncio.Event().wait()

    async def drip(self, pause_ms, data):
        for byte in data:
            self._writer.write(bytes([byte]))
            await self._writer.drain()
            await asyncio.sleep(pause_ms / 1000)
        await self.hang()

    async def act(self, action):
        """True: that was the answer. False: go on as usual."""
        words = action.split(None, 2)
        if words[0].isdigit():
            await self.push(action)
            if words[0] == "421":
                self.end(False)
            return True
        if words[0] in ("close", "reset"):
            self.end(words[0] == "reset")
        elif words[0] == "hang":
            await self.hang()
        elif words[0] == "drip":
            await self.drip(int(words[1]), words[2].encode())
        elif words[0] == "flood":
            self._writer.write(b"2" * int(words[1]))
            await self._writer.drain()
            await self.hang()
        elif words[0] == "delay":
            await asyncio.sleep(int(words[1]) / 1000)
        elif words[0] == "wait":
            await self.spool.rules.changed()
        else:
            raise SystemExit(f"rules: no action {action}")
        return False

    async def ruled(self, step, argument=""):
        argument = (argument or "").strip()
        self.spool.note(self.number, step, "" if step == "auth" else argument)
        action = self.spool.rules.find(step, argument)
        return action is not None and await self.act(action)

    # ---- the dialogue ----

    async def _handle_client(self):
        if not self.number:
            self.spool.connections += 1
            self.number = self.spool.connections
        try:
            if await self.ruled("connect"):
                self.transport.close()
                return
            await super()._handle_client()
        except (Gone, ConnectionError):
            pass
        finally:
            self.spool.note(self.number, "gone")

    async def smtp_EHLO(self, hostname):
        if not await self.ruled("ehlo", hostname):
            await super().smtp_EHLO(hostname)

    async def smtp_HELO(self, hostname):
        if not await self.ruled("ehlo", hostname):
            await super().smtp_HELO(hostname)

    async def smtp_STARTTLS(self, arg):
        if not await self.ruled("starttls", arg):
            await super().smtp_STARTTLS(arg)

    async def smtp_AUTH(self, arg):
        if not await self.ruled("auth", arg):
            await super().smtp_AUTH(arg)

    async def smtp_MAIL(self, arg):
        if not await self.ruled("mail", arg):
            await super().smtp_MAIL(arg)

    async def smtp_RCPT(self, arg):
        if not await self.ruled("rcpt", arg):
            await super().smtp_RCPT(arg)

    async def smtp_DATA(self, arg):
        if not await self.ruled("data", ",".join(self.envelope.rcpt_tos)):
            await super().smtp_DATA(arg)

    async def smtp_QUIT(self, arg):
        self.spool.note(self.number, "quit")
        await super().smtp_QUIT(arg)

    async def handle_DATA(self, server, session, envelope):
        argument = ",".join(envelope.rcpt_tos)
        self.spool.note(self.number, "end", argument)
        action = self.spool.rules.find("end", argument) or ""
        if action and not action.startswith("accept-"):
            if action[0].isdigit():
                return action
            await self.act(action)  # of those that come back, the mail goes on
        tls = self.smtps or self.session.ssl is not None
        self.spool.keep(self.number, tls, self.user, envelope)
        if action.startswith("accept-"):
            await self.act(action.removeprefix("accept-"))
        return "250 2.0.0 kept"


def tls_context(args):
    if not args.cert:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(args.cert, args.key)
    return context


def options(args, context, smtps):
    def authenticate(server, session, envelope, mechanism, data):
        given = f"{data.login.decode()}:{data.password.decode()}" if hasattr(data, "login") else None
        ok = given == args.auth
        server.user = data.login.decode() if ok else None
        server.spool.note(server.number, "login", "yes" if ok else "no")
        return AuthResult(success=ok, handled=False)

    return dict(
        hostname="mail.test", ident="test", enable_SMTPUTF8=True, timeout=3600,
        tls_context=None if smtps else context, require_starttls=args.require_tls and not smtps,
        auth_required=bool(args.auth), auth_require_tls=context is not None and not smtps,
        authenticator=authenticate if args.auth else None,
        auth_exclude_mechanism=None if args.auth else ("LOGIN", "PLAIN"),
    )


async def serve(args):
    loop = asyncio.get_running_loop()
    spool = Spool(args.spool)
    context = tls_context(args)

    def factory(smtps):
        return lambda: Server(spool, smtps, loop=loop, **options(args, context, smtps))

    plain = await loop.create_server(factory(False), "127.0.0.1", args.port)
    ports = [plain.sockets[0].getsockname()[1], 0]
    if args.smtps_port is not None:
        secure = await loop.create_server(factory(True), "127.0.0.1", args.smtps_port, ssl=context)
        ports[1] = secure.sockets[0].getsockname()[1]
    print("ready", *ports, flush=True)
    await asyncio.Event().wait()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--spool", required=True)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--smtps-port", type=int)
    parser.add_argument("--cert")
    parser.add_argument("--key")
    parser.add_argument("--require-tls", action="store_true")
    parser.add_argument("--auth", metavar="USER:PASSWORD")
    args = parser.parse_args()
    os.umask(0o077)
    try:
        asyncio.run(serve(args))
    except KeyboardInterrupt:
        pass


if __name__ == "__main__":
    main()
