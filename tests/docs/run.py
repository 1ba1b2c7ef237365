#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Runs the commands of the documents, in the order in which they stand, as a reader would type them.

    run.py BUILD-DIRECTORY SOURCE-DIRECTORY CMAKE [DOCUMENT...]

A block of code says by its first line what it is:

    ```sh               commands, run in one shell for the whole document; each must succeed
    ```sh eventually    the same, repeated until it succeeds and says what is shown: only commands that look
    ```sh exits=1       the last command ends with this status
    ```sh not-run       what cannot run here; only commands of the list NOT_RUN
    ```text             right behind such a block: what it prints. Every line must come, in this order; … stands for
                        anything, spaces count as one. Elsewhere: a picture
    ```c hello.c        a file that the reader saves under that name; so also conf and the like
    ```python           must be Python that can be read
    <!-- run            commands that a reader does not see, to --> on a line of its own: they bring about what the
                        text speaks of, or end it; "eventually" as above

jobq and its servers are private ones (environment.py); the variables that name them go before what a document's files say.
Exit status: 0 all is as written, 1 something is not, 69 something is missing here."""
import ast
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

sys.dont_write_bytecode = True
sys.path.insert(0, str(Path(__file__).parent))
from environment import Environment, Failed  # pylint: disable=wrong-import-position

# What installs, starts or builds on the reader's own machine. scripts/test, scripts/test-packages and CI run it.
NOT_RUN = ("apt systemctl journalctl docker editor install cp celery cmake "
           "scripts/package scripts/test scripts/quickstart").split()
LANGUAGES = "sh text c python conf json sql yaml".split()
DOCUMENTS = ("README.md", "docs/*.md", "contrib/*/README.md")
BLOCK_SECONDS = 240
EVENTUALLY_SECONDS = 120  # much more than any of it takes on a busy machine


class Block:
    def __init__(self, line, info):
        words = info.split()
        self.line, self.language, self.words, self.lines = line, words[0] if words else "", words[1:], []
        self.hidden = False  # in a comment
        self.shown = None  # of commands: the lines of the text block behind them

    @property
    def text(self):
        return "".join(self.lines)


def blocks_of(document):
    """All blocks of a document in order; raises ValueError for what no reader could tell the kind of."""
    blocks, open_block, gap, before = [], None, True, ""
    for number, line in enumerate(document.read_text().splitlines(keepends=True), 1):
        if line.startswith("```") and open_block is None:
            open_block = Block(number, line[3:].strip())
            if open_block.language not in LANGUAGES:
                raise ValueError(f"{number}: a block of code without a language, or of a strange one")
        elif line.startswith("```") and not open_block.hidden:
            last = blocks[-1] if blocks else None
            if open_block.language == "text" and last and last.language == "sh" and not gap:
                last.shown = open_block.text.splitlines()
            blocks.append(open_block)
            open_block, gap = None, False
        elif open_block is not None and open_block.hidden and line.strip() == "-->":
            blocks.append(open_block)
            open_block, gap = None, True
        elif open_block is not None:
            open_block.lines.append(line)
        elif line.startswith("<!-- run"):
            open_block = Block(number, "sh " + line[8:].strip())
            open_block.hidden = True
        elif line.strip():
            gap = True
            if line.startswith("    ") and not before.strip():
                raise ValueError(f"{number}: code by indentation; use a fenced block")
        before = line
    return blocks


def commands_of(text):
    """The commands of a block: without comments, with lines that go on joined."""
    joined = re.sub(r"\\\n", " ", text)
    return [x.strip() for x in joined.splitlines() if x.strip() and not x.lstrip().startswith("#")]


def check_not_run(block):
    for command in commands_of(block.text):
        words = [w for w in command.split() if not re.match(r"^[A-Z_]+=", w)]
        if not words or words[0] not in NOT_RUN:
            raise ValueError(f"{block.line}: marked not-run, but it can be run: {command}")


def squeeze(text):
    return re.sub(r"\s+", " ", text).strip()


def missing_line(shown, output):
    """The first line of `shown` that `output` lacks, in this order; None when there is none."""
    lines, at = [squeeze(x) for x in output.splitlines()], 0
    for line in filter(None, map(squeeze, shown)):
        pattern = re.compile(".*".join(re.escape(part.strip()) for part in line.split("…")))
        while at < len(lines) and not pattern.fullmatch(lines[at]):
            at += 1
        if at == len(lines):
            return line
        at += 1
    return None


class Shell:
    """One bash for a whole document: directory, variables and programs in the background stay from block to block."""

    def __init__(self, here, environment, guardian):
        reader, writer = os.pipe()
        self.bash = subprocess.Popen(["setpriv", "--pdeathsig", "KILL", "bash", "--norc", "--noprofile"],
                                     stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, text=True,
                                     cwd=here, env=environment, pass_fds=[writer], start_new_session=True)
        os.close(writer)
        guardian.begins(self.bash.pid)
        self.guardian, self.answers, self.writer = guardian, os.fdopen(reader), writer
        self.directory, self.count = Path(here).parent, 0

    def run(self, text):
        """(status, output): the status of the last command that failed, else that of the last one."""
        self.count += 1
        script, out = self.directory / f"block-{self.count}.sh", self.directory / f"block-{self.count}.out"
        script.write_text(text)
        self.bash.stdin.write(f"failed=0; trap 'failed=$?' ERR; . '{script}' >'{out}' 2>&1 </dev/null {self.writer}>&-; "
                              f"last=$?; trap - ERR; echo $((failed ? failed : last)) >&{self.writer}\n")
        self.bash.stdin.flush()
        watch = signal.signal(signal.SIGALRM, self.give_up)
        signal.alarm(BLOCK_SECONDS)
        answer = self.answers.readline()
        signal.alarm(0)
        signal.signal(signal.SIGALRM, watch)
        return int(answer) if answer.strip() else -1, out.read_text(errors="replace") if out.exists() else ""

    def give_up(self, *_):
        os.killpg(self.bash.pid, signal.SIGKILL)

    def end(self):
        for how in (signal.SIGTERM, signal.SIGKILL):  # jobd first, so that it ends its executors
            try:
                os.killpg(self.bash.pid, how)
            except ProcessLookupError:
                break
            until = time.monotonic() + 3
            while how == signal.SIGTERM and time.monotonic() < until and self.group_lives():
                time.sleep(0.02)
        self.guardian.is_over(self.bash.pid)
        self.bash.stdin.close()
        self.bash.wait()
        self.answers.close()

    def group_lives(self):
        self.bash.poll()
        try:
            os.killpg(self.bash.pid, 0)
        except ProcessLookupError:
            return False
        return True


def run_block(shell, block):
    """None, or what is not as written."""
    wanted = next((int(w[6:]) for w in block.words if w.startswith("exits=")), 0)
    until = time.monotonic() + (EVENTUALLY_SECONDS if "eventually" in block.words else 0)
    while True:
        status, output = shell.run(block.text)
        lacks = missing_line(block.shown, output) if block.shown else None
        if status == wanted and lacks is None:
            return None
        if status == -1 or time.monotonic() >= until:
            break
        time.sleep(0.1)
    wrong = f"exit status {status}, not {wanted}" if status != wanted else f"not printed: {lacks}"
    return f"{wrong}\n---- the commands ----\n{block.text}---- printed ----\n{output[-4000:]}"


def run_document(environment, document, number, blocks):
    """The number of blocks that were run and None, or what is wrong."""
    here, variables, leave = environment.enter(number)
    name = document.relative_to(environment.source)
    shell = Shell(here / name.parent if name.parts[0] == "contrib" else here, variables, environment.guardian)
    ran = 0
    try:
        for block in blocks:
            if block.language == "sh" and "not-run" not in block.words:
                wrong = run_block(shell, block)
                if wrong:
                    return ran, f"{name}:{block.line}: {wrong}"
                ran += 1
            elif block.language not in ("sh", "text") and block.words:
                (here / block.words[0]).write_text(block.text)
                (here / block.words[0]).chmod(0o600)
        return ran, None
    finally:
        shell.end()
        leave()


def check_document(document):
    blocks = blocks_of(document)
    for block in blocks:
        if block.language == "sh" and "not-run" in block.words:
            check_not_run(block)
        if block.language == "sh" and not all(re.fullmatch(r"not-run|eventually|exits=\d+", w) for w in block.words):
            raise ValueError(f"{block.line}: {' '.join(block.words)}?")
        if block.language == "python":
            ast.parse(block.text)
    return blocks


def main(arguments):
    build, source, cmake = arguments[:3]
    source = Path(source).resolve()
    documents = [source / a for a in arguments[3:]] or sorted(d for p in DOCUMENTS for d in source.glob(p))
    bad, to_run = 0, []
    for document in documents:
        try:
            blocks = check_document(document)
            if any(b.language == "sh" and "not-run" not in b.words for b in blocks):
                to_run.append((document, blocks))
        except (ValueError, SyntaxError) as error:
            print(f"{document.relative_to(source)}:{error}")
            bad += 1
    if not to_run:
        return 1 if bad else 0
    try:
        environment = Environment(build, source, cmake)
    except Failed as error:
        print(error)
        return 69
    try:
        for number, (document, blocks) in enumerate(to_run):
            began = time.monotonic()
            ran, wrong = run_document(environment, document, number, blocks)
            bad += wrong is not None
            print(wrong or f"{document.relative_to(source)}: {ran} blocks in {time.monotonic() - began:.1f} s", flush=True)
    finally:
        environment.end()
    return 1 if bad else 0


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(130))
    sys.exit(main(sys.argv[1:]))
