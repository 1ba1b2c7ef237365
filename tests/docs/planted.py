#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""run.py fails where it must: documents and blocks with exactly one fault each; and leaves nothing, even when it is killed.
No servers."""
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.dont_write_bytecode = True
sys.path.insert(0, str(Path(__file__).parent))
from guardian import GONE_SECONDS, TERM_SECONDS, Guardian, members  # pylint: disable=wrong-import-position
from run import Shell, blocks_of, check_document, missing_line, run_block  # pylint: disable=wrong-import-position

FENCE = "```"
# A document; whether its form is accepted.
FORMS = (
    (f"{FENCE}sh\ntrue\n{FENCE}\n", True),
    (f"{FENCE}\ntrue\n{FENCE}\n", False),
    (f"{FENCE}bash\ntrue\n{FENCE}\n", False),
    ("text\n\n    jobctl queue list\n", False),
    (f"{FENCE}sh not-run\nsystemctl start x\nFOO=1 apt install y\n{FENCE}\n", True),
    (f"{FENCE}sh not-run\njobctl queue list\n{FENCE}\n", False),
    (f"{FENCE}sh sometimes\ntrue\n{FENCE}\n", False),
    (f"{FENCE}python\nx = (1\n{FENCE}\n", False),
)
# A document with one block; whether it is as written.
RUNS = (
    ("sh", "echo one; echo two  three", "one\ntwo three", True),
    ("sh", "echo one; echo two", "t…o", True),
    ("sh", "echo one; echo two", "two\none", False),
    ("sh", "echo one two", "one", False),
    ("sh", "echo one", "two", False),
    ("sh", "false\ntrue", "", False),
    ("sh", "exit_with() { return 3; }\nexit_with", "", False),
    ("sh exits=3", "exit_with() { return 3; }\nexit_with", "", True),
    ("sh exits=3", "true", "", False),
    ("sh", "cat", "", True),  # no input: it does not wait for any
    ("sh eventually", "[ -e second ] || { touch second; false; }", "", True),
)


def be_killed(work):
    """A runner that is killed amid a block which started what does not end by itself, nor when it is asked to."""
    here = Path(work) / "here"
    here.mkdir()
    guardian = Guardian(work)
    shell = Shell(here, dict(os.environ), guardian)
    print(shell.bash.pid, flush=True)
    status, said = shell.run("sleep 600 &\n(trap '' TERM; echo $BASHPID >deaf; exec sleep 600) &\n"
                             "until [ -s deaf ]; do :; done\nmkdir -p some/where\n")
    if status == 0:
        os.kill(os.getpid(), signal.SIGKILL)
    print(said)


def leaves_nothing():
    work = tempfile.mkdtemp(prefix="jobq-docs.", dir=os.environ.get("TMPDIR", "/var/tmp"))
    killed = subprocess.run([sys.executable, __file__, work], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                            check=False)
    session = {int(killed.stdout.split()[0])} if killed.returncode == -signal.SIGKILL else set()
    until = time.monotonic() + TERM_SECONDS + 2 * GONE_SECONDS
    while session and (os.path.exists(work) or members(session)) and time.monotonic() < until:
        time.sleep(0.02)
    if session and not os.path.exists(work) and not members(session):
        return True
    print(f"a killed runner leaves {members(session)}, {os.path.exists(work) and work}: {killed}")
    return False


def main():
    bad = 0
    with tempfile.TemporaryDirectory(prefix="jobq-docs.", dir=os.environ.get("TMPDIR", "/var/tmp")) as name:
        document = Path(name) / "a.md"
        for text, fine in FORMS:
            document.write_text(text)
            try:
                check_document(document)
                accepted = True
            except (ValueError, SyntaxError):
                accepted = False
            if accepted != fine:
                print(f"{'refused' if fine else 'accepted'}: {text}")
                bad += 1
        here = Path(name) / "here"
        here.mkdir()
        guardian = Guardian(name)
        shell = Shell(here, dict(os.environ), guardian)
        for info, commands, shown, fine in RUNS:
            document.write_text(f"{FENCE}{info}\n{commands}\n{FENCE}\n" + (f"{FENCE}text\n{shown}\n{FENCE}\n" if shown else ""))
            wrong = run_block(shell, blocks_of(document)[0])
            if (wrong is None) != fine:
                print(f"{'fails' if fine else 'passes'}: {info}: {commands}\n{wrong}")
                bad += 1
        document.write_text(f"{FENCE}sh\nX=5; cd /; sleep 600 &\n{FENCE}\n<!-- run\n[ $X$PWD = 5/ ] && jobs %1\n-->\n")
        for block in blocks_of(document):  # what one block left, the next one finds; also in a comment
            wrong = run_block(shell, block)
            if wrong:
                print(wrong)
                bad += 1
        shell.end()
        if shell.group_lives():
            print("what was started in the background lives on")
            bad += 1
    guardian.end()
    bad += not leaves_nothing()
    if missing_line(["a", "c"], "a\nb\nc") or not missing_line(["a", "c"], "c\na"):
        print("the order of lines")
        bad += 1
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(be_killed(sys.argv[1]) if len(sys.argv) > 1 else main())
