# SPDX-License-Identifier: MIT
"""Where the commands of a document are run: the programs as they are installed, a Redis, a PostgreSQL with a small forum
and a mail server of their own, in a private directory. Nothing of the system's servers is used; all of it ends with us,
however we end (guardian.py)."""
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path

from guardian import Guardian

SERVER_SECONDS = 120
reserved = []  # sockets at our ports


class Failed(Exception):
    """The environment could not be made; the text says what said no."""


def free_port():
    """A port below those of outgoing connections. Bound and not listening, to our end, it is nobody else's: see take_port()
    of tests/support."""
    for port in range(20000 + os.getpid() * 31 % 11000, 32000):
        s = socket.socket()
        try:
            s.bind(("127.0.0.1", port))
        except OSError:
            s.close()
            continue
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        reserved.append(s)
        return port
    raise Failed("no port is free")


def wait_until(what, condition, log=None):
    until = time.monotonic() + SERVER_SECONDS
    while not condition():
        if time.monotonic() > until:
            raise Failed(f"{what} does not start\n{log.read_text()[-2000:] if log else ''}")
        time.sleep(0.05)


class Environment:
    """Servers that all documents share; make one for each document with enter()."""

    def __init__(self, build, source, cmake):
        self.source = Path(source)
        self.running = []
        self.root = Path(tempfile.mkdtemp(prefix="jobq-docs.", dir=os.environ.get("TMPDIR", "/var/tmp")))
        self.root.chmod(0o755)
        self.guardian = Guardian(self.root)
        self.log = self.root / "servers.log"
        try:
            self.run(cmake, "--install", build, "--prefix", self.root / "jobq")
            self.libdir = next((self.root / "jobq").rglob("libjobq.so")).parent
            self.start_postgres()
            self.start_mail()
        except BaseException:
            self.end()
            raise

    def run(self, *command, **options):
        started = subprocess.Popen([str(c) for c in command], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                   stderr=subprocess.STDOUT, text=True, start_new_session=True, **options)
        self.guardian.begins(started.pid)
        said = started.communicate()[0]
        self.guardian.is_over(started.pid)
        if started.returncode != 0:
            raise Failed(f"{' '.join(str(c) for c in command)}: {started.returncode}\n{said}")

    def daemon(self, *command, log=None, **options):
        with open(log or self.log, "ab") as out:
            started = subprocess.Popen(["setpriv", "--pdeathsig", "KILL", *(str(c) for c in command)],
                                       stdin=subprocess.DEVNULL, stdout=out, stderr=out, start_new_session=True, **options)
        self.guardian.begins(started.pid)
        self.running.append(started)
        return started

    def start_postgres(self):
        binaries = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda p: int(p.parts[-3]))
        if not binaries:
            raise Failed("PostgreSQL is not installed: apt-get install postgresql")
        where = self.root / "pg"
        where.mkdir()
        self.pg_bin, self.pg, user = binaries[-1].parent, where, []
        if os.getuid() == 0:  # PostgreSQL refuses to run as root
            names = {p.pw_name for p in pwd.getpwall()}
            who = pwd.getpwnam("postgres" if "postgres" in names else "nobody")
            os.chown(where, who.pw_uid, who.pw_gid)
            user = ["--reuid", who.pw_uid, "--regid", who.pw_gid, "--clear-groups"]
        self.run(*(["setpriv", *user] if user else []), self.pg_bin / "initdb", "-D", where / "data", "-U", "jobq",
                 "--auth=trust", "--encoding=UTF8", "--locale=C.UTF-8", "--no-sync", cwd=where)
        # One call for both: a change of user clears the signal.
        self.daemon(*user, self.pg_bin / "postgres", "-D", where / "data", "-k", where, "-h", "",
                    "-c", "fsync=off", cwd=where)
        wait_until("PostgreSQL", lambda: self.sql("select 1", "postgres", check=False) == "1\n", self.log)
        self.sql("create database forum_fixture", "postgres")
        self.run(self.source / "contrib/forum/fixture/load.sh", f"host={where} dbname=forum_fixture user=jobq",
                 "--users", 50, "--threads", 40, "--posts", 400, "--version", "0.40")

    def sql(self, statement, database, check=True):
        until = time.monotonic() + SERVER_SECONDS
        while True:
            done = subprocess.run([self.pg_bin / "psql", "-XAtq", "-h", self.pg, "-U", "jobq", "-d", database, "-c", statement],
                                  stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
            # A session that has ended here may have some of its end to come there.
            if "being accessed by other users" not in done.stderr or time.monotonic() > until:
                break
        if check and done.returncode != 0:
            raise Failed(f"{statement}: {done.stderr}")
        return done.stdout

    def start_mail(self):
        (self.root / "spool").mkdir()
        log = self.root / "mail.log"
        # Debian's own: another python3 in the PATH does not know its modules.
        self.daemon("/usr/bin/python3", "-u", self.source / "contrib/forum/smtp_server.py", "--spool",
                    self.root / "spool", log=log)
        ready = lambda: next((x for x in log.read_text().splitlines() if x.startswith("ready ")), None)
        wait_until("the mail server", ready, log)
        self.mail_port = ready().split()[1]

    def start_redis(self, where):
        for _ in range(5):  # somebody else may take the port first
            port = free_port()
            started = self.daemon("redis-server", "--port", port, "--bind", "127.0.0.1", "--dir", where, "--save", "",
                                  "--appendonly", "yes", "--maxmemory", "256mb", "--maxmemory-policy", "noeviction")
            answers = lambda: subprocess.run(["redis-cli", "-p", str(port), "config", "get", "dir"], capture_output=True,
                                             text=True, check=False).stdout.strip().endswith(str(where))
            wait_until("Redis", lambda: started.poll() is not None or answers(), self.log)
            if started.poll() is None:
                return started, port
            self.forget(started)
        raise Failed(f"Redis does not start\n{self.log.read_text()[-2000:]}")

    def enter(self, number):
        """A directory, a Redis and a database for one document: (directory, environment, leave())."""
        work = self.root / f"{number:02}"
        for name in ("redis", "state", "media", "home", "here"):
            (work / name).mkdir(parents=True)
        here = work / "here"
        for name in ("docs", "scripts", "tests", "cmake"):
            (here / name).symlink_to(self.source / name)
        shutil.copytree(self.source / "contrib", here / "contrib")
        redis, redis_port = self.start_redis(work / "redis")
        self.sql("create database forum template forum_fixture", "postgres")
        port = free_port()
        # Documents name the port that jobd has by default; several tests may run at once.
        (work / "home/.curlrc").write_text(f'connect-to = "127.0.0.1:9464:127.0.0.1:{port}"\n')
        environment = {k: v for k, v in os.environ.items()
                       if not k.startswith(("JOBQ_", "PG", "POSTGRES_", "REDIS_", "MISAGO_", "LC_", "STATE_", "NOTIFY_"))}
        environment |= {
            "HOME": str(work / "home"), "LANG": "C.UTF-8", "NO_COLOR": "1", "TERM": "dumb", "TZ": "UTC",
            "PATH": f"{self.root}/jobq/bin:{os.environ['PATH']}",
            "LD_LIBRARY_PATH": str(self.libdir), "PKG_CONFIG_PATH": str(self.libdir / "pkgconfig"),
            "JOBQ_REDIS": f"redis://127.0.0.1:{redis_port}/0",
            "JOBQ_POSTGRES": f"host={self.pg} dbname=forum user=jobq",
            "JOBQ_STATE_DIR": str(work / "state"), "JOBQ_HTTP": f"127.0.0.1:{port}",
            "JOBQ_FORUM_MEDIA_ROOT": str(work / "media"),
            "JOBQ_MAIL_URL": f"smtp://127.0.0.1:{self.mail_port}", "JOBQ_MAIL_TLS": "none",
            "JOBQ_MAIL_FROM": "Forum <no-reply@example.org>",
            "PGHOST": str(self.pg), "PGUSER": "jobq", "PGDATABASE": "forum",
        }

        def leave():
            self.stop(redis)
            self.sql("drop database forum with (force)", "postgres")

        return here, environment, leave

    def forget(self, process):
        if process in self.running:
            self.running.remove(process)
            self.guardian.is_over(process.pid)

    def stop(self, process, how=signal.SIGKILL):
        self.forget(process)
        process.send_signal(how)
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def end(self):
        for process in list(self.running):
            self.stop(process, signal.SIGQUIT)  # PostgreSQL: at once, its children too
        shutil.rmtree(self.root, ignore_errors=True)
        self.guardian.end()
