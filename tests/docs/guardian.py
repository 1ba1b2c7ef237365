# SPDX-License-Identifier: MIT
"""What a runner started and made goes with it, also when it is killed and cannot see to that itself.

    guardian.py DIRECTORY

Reads from a pipe, a line each, sessions that begin (+ID) and that are over (-ID). When the pipe's other end is closed,
it ends every process of those that are left and removes the directory. It is no child of the runner: who ends a runner
with all its children (ctest, when the time is over) leaves it alone."""
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

TERM_SECONDS = 3  # what jobd gets to end its executors
GONE_SECONDS = 30


def members(sessions):
    """The processes that live in these sessions."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, _, _, session = stat.read_text(errors="replace").rpartition(")")[2].split()[:4]
        except (OSError, ValueError):
            continue  # it has just ended
        if state not in "ZX" and int(session) in sessions:
            found.append(int(stat.parts[2]))
    return found


class Guardian:
    """The runner's end of the pipe."""

    def __init__(self, directory):
        self.started = subprocess.Popen([sys.executable, __file__, str(directory)], stdin=subprocess.PIPE,
                                        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd="/", text=True,
                                        start_new_session=True)
        self.started.wait()

    def tell(self, line):
        self.started.stdin.write(f"{line}\n")
        self.started.stdin.flush()

    def begins(self, session):
        self.tell(f"+{session}")

    def is_over(self, session):
        self.tell(f"-{session}")

    def end(self):
        self.started.stdin.close()


def send(sessions, how):
    for process in members(sessions):
        try:
            os.kill(process, how)
        except ProcessLookupError:
            pass


def wait_gone(sessions, seconds):
    until = time.monotonic() + seconds
    while members(sessions) and time.monotonic() < until:
        time.sleep(0.02)


def main(directory):
    if os.fork() != 0:
        os._exit(0)
    sessions = set()
    for line in sys.stdin:
        (sessions.add if line[0] == "+" else sessions.discard)(int(line[1:]))
    send(sessions, signal.SIGTERM)
    wait_gone(sessions, TERM_SECONDS)
    send(sessions, signal.SIGKILL)
    wait_gone(sessions, GONE_SECONDS)
    until = time.monotonic() + GONE_SECONDS
    while os.path.exists(directory) and time.monotonic() < until:  # what such a process started may still write there
        shutil.rmtree(directory, ignore_errors=True)
        time.sleep(0.02)


if __name__ == "__main__":
    main(sys.argv[1])
