"""
Every command wherever it may be typed: on a narrow terminal, in a pipe, without a home, where nothing can be written.

With ``-s`` the table of all statuses is printed, as it was found; ``TABLE`` is what it should be.
"""

import ctypes
import fcntl
import os
import pty
import re
import shutil
import signal
import socket
import struct
import subprocess
import sys
import termios
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import pairwise
from pathlib import Path

import pytest
import typer
from forking import start_forked
from processes import Impactflow, order, sandbox_thread

from impactflow.__main__ import add_proof, main
from impactflow.cli import console
from impactflow.cli.commands import app
from impactflow.proof.programs import Ended, finish

COLUMNS = 80
#: After so long, in seconds, somebody changes their mind.
SECOND_THOUGHTS_S = 1.0
OURS = str(Path(console.__file__).parents[1])
STOPPED = 130
#: What is typed for each command. What brings up worlds of processes shows its help here, and is started in
#: ``test_up``, ``test_two_workers``, ``test_proof_processes``, ``test_commands`` and ``webhooks/test_command``.
TYPED = {
    "init": "init",
    "plan": "plan",
    "campaigns": "campaigns",
    "rates": "rates --ecb eurofxref-daily.xml",
    "policy check": "policy check",
    "policy schema": "policy schema",
    "place": "place",
    "backfill": "backfill --from 2026-01-01 --to 2026-01-02",
    "track": "track",
    "refunds": "refunds",
    "reconcile": "reconcile --audit",
    "status": "status --totals",
    "show": "show WR-1",
    "caps": "caps",
    "balance": "balance",
    "doctor": "doctor",
    "backup": "backup copy.db",
    "settle": "settle WR-1 trees --as given-up",
    "approve": "approve",
    "dismiss": "dismiss WR-1 --why nothing",
    "pause": "pause --provider impactapi --why nothing",
    "resume": "resume --all",
    "forget": "forget ana@example.com",
    "adopt": "adopt",
    "demo": "demo --orders 3",
    "month": "month --help",
    "prove": "prove --help",
    "sandbox": "sandbox --help",
    "serve": "serve --help",
    "register": "register",
    "automations": "automations",
    "up": "up --help",
    "webhooks": "webhooks --help",
    "webhooks try": "webhooks try shopify order.json",
    "webhooks send": "webhooks send shopify orders/paid",
}
#: Where each is typed, and its exit status there.
TABLE = """
command       | 80 columns | pipe | --json | NO_COLOR | no HOME | read-only folder
init          |          2 |    2 |      2 |        2 |       2 |                2
plan          |          0 |    0 |      0 |        0 |       0 |                0
campaigns     |          0 |    0 |      0 |        0 |       0 |                0
rates         |          2 |    2 |      2 |        2 |       2 |                2
policy check  |          0 |    0 |      0 |        0 |       0 |                0
policy schema |          0 |    0 |      0 |        0 |       0 |                0
place         |          0 |    0 |      0 |        0 |       0 |                2
backfill      |          0 |    0 |      0 |        0 |       0 |                2
track         |          0 |    0 |      0 |        0 |       0 |                2
refunds       |          0 |    0 |      0 |        0 |       0 |                2
reconcile     |          0 |    0 |      0 |        0 |       0 |                2
status        |          0 |    0 |      0 |        0 |       0 |                2
show          |          0 |    0 |      0 |        0 |       0 |                2
caps          |          0 |    0 |      0 |        0 |       0 |                2
balance       |          0 |    0 |      0 |        0 |       0 |                2
doctor        |          0 |    0 |      0 |        0 |       0 |                2
backup        |          0 |    0 |      0 |        0 |       0 |                2
settle        |          2 |    2 |      2 |        2 |       2 |                2
approve       |          0 |    0 |      0 |        0 |       0 |                2
dismiss       |          2 |    2 |      2 |        2 |       2 |                2
pause         |          0 |    0 |      0 |        0 |       0 |                2
resume        |          0 |    0 |      0 |        0 |       0 |                2
forget        |          0 |    0 |      0 |        0 |       0 |                2
adopt         |          0 |    0 |      0 |        0 |       0 |                2
demo          |          0 |    0 |      0 |        0 |       0 |                2
month         |          0 |    0 |      0 |        0 |       0 |                0
prove         |          0 |    0 |      0 |        0 |       0 |                0
sandbox       |          0 |    0 |      0 |        0 |       0 |                0
serve         |          0 |    0 |      0 |        0 |       0 |                0
register      |          2 |    2 |      2 |        2 |       2 |                2
automations   |          0 |    0 |      0 |        0 |       0 |                0
up            |          0 |    0 |      0 |        0 |       0 |                0
webhooks      |          0 |    0 |      0 |        0 |       0 |                0
webhooks try  |          2 |    2 |      2 |        2 |       2 |                2
webhooks send |          2 |    2 |      2 |        2 |       2 |                2
"""
#: The commands that ask others, who may take their time.
ASKING = (
    *("place", "place --dry-run", "backfill --from 2026-01-01 --to 2026-01-02", "track", "reconcile --audit"),
    *("plan", "campaigns", "doctor", "adopt"),
)
URLS = ("WICKED_REPORTS_URL", "CNAUGHT_URL", "ONECLICKIMPACT_URL", "IMPACTAPI_URL")
_ANSI = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
_COLOUR = re.compile(r"\x1b\[(?:\d+;)*(?:3[0-8]|4[0-8]|9[0-7]|10[0-7])m")
CONTENT = {"eurofxref-daily.xml": "<Envelope/>", "order.json": "{}"}


def commands(command: object, name: str = "") -> Iterator[str]:
    """The name of each command that does something by itself."""
    within = getattr(command, "commands", {})
    if not within or (name and getattr(command, "invoke_without_command", False)):
        yield name
    for each, inner in within.items():
        yield from commands(inner, f"{name} {each}".strip())


def test_no_command_is_missing_here():
    """Whoever adds one types it here."""
    add_proof()
    assert set(TYPED) == set(commands(typer.main.get_command(app)))


@pytest.fixture(scope="module")
def used(tmp_path_factory, own_server) -> Iterator[Impactflow]:
    """A folder in which somebody has bought and registered; its sandbox and its Prefect server."""
    folder = tmp_path_factory.mktemp("used")
    shutil.copy(Path(__file__).parents[2] / "policy.yaml", folder)
    for name, content in CONTENT.items():
        (folder / name).write_text(content)
    with sandbox_thread([order(number) for number in range(1, 4)]) as sandbox:
        own = {"PREFECT_API_URL": own_server.api_url, "PREFECT_HOME": f"{folder}/prefect", "HOME": str(folder)}
        kept = {name: os.environ[name] for name in ("PATH", "LANG", "TMPDIR") if name in os.environ}
        impactflow = Impactflow(folder, {**kept, **own, **sandbox.variables})
        assert [impactflow.run(command).status for command in ("place", "register")] == [0, 0]
        yield impactflow


@pytest.fixture
def there(used, tmp_path) -> Callable[..., Impactflow]:
    """Makes copies of that folder, with some variables changed."""

    def make(**changes: str | None) -> Impactflow:
        folder = tmp_path / str(len(list(tmp_path.iterdir())))
        shutil.copytree(used.folder, folder, ignore=shutil.ignore_patterns("prefect"))
        return Impactflow(folder, used.variables).but(**{"HOME": str(folder), **changes})

    return make


def at_a_terminal(*arguments: str) -> None:
    """Be ``impactflow`` whose outputs are a terminal's: what a fork inherits was made for a pipe."""
    for output, to_stderr in ((console.out, False), (console.err, True)):
        vars(output).update(vars(console._console(to_stderr=to_stderr)))
    sys.argv = ["impactflow", *arguments]
    main()


def on_a_terminal(impactflow: Impactflow, *arguments: str) -> Ended:
    """On one of ``COLUMNS`` columns, which shows both outputs in one."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, COLUMNS, 0, 0))
    seen = bytearray()

    def read_screen() -> None:
        with suppress(OSError):  # nobody has it open any more
            while block := os.read(ours, 65_536):
                seen.extend(block)

    reader = threading.Thread(target=read_screen)
    reader.start()
    screen = Path(os.ttyname(theirs))
    process = start_forked(
        at_a_terminal,
        *arguments,
        folder=impactflow.folder,
        variables=impactflow.variables | {"TERM": "xterm-256color"},
        outputs={1: screen, 2: screen},
    )
    process.join()
    os.close(theirs)
    reader.join()
    os.close(ours)
    return Ended(process.exitcode, seen.decode().replace("\r\n", "\n"), "")


def refuse_writing() -> None:
    """Give up root's right to write anywhere: root obeys a folder's mode then like anybody else."""
    drop_from_bounding_set, dac_override = 24, 1
    ctypes.CDLL(None).prctl(drop_from_bounding_set, dac_override, 0, 0, 0)


def started(impactflow: Impactflow, *arguments: str) -> subprocess.Popen[str]:
    """In a new interpreter, without root's right."""
    return subprocess.Popen(
        [sys.executable, "-m", "impactflow", *arguments],
        cwd=impactflow.folder,
        env=impactflow.variables,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=refuse_writing,  # noqa: PLW1509 - one call, of the kernel
    )


def readonly(impactflow: Impactflow, *arguments: str) -> Ended:
    """In a folder in which nothing can be written."""
    impactflow.folder.chmod(0o555)
    try:
        return finish(started(impactflow, *arguments))
    finally:
        impactflow.folder.chmod(0o755)


def interrupted(impactflow: Impactflow, *arguments: str) -> Ended:
    """With Ctrl-C after ``SECOND_THOUGHTS_S``, unless it has ended."""
    process = started(impactflow, *arguments)
    with suppress(subprocess.TimeoutExpired):
        process.wait(SECOND_THOUGHTS_S)
    process.send_signal(signal.SIGINT)
    return finish(process)


def broken_words(screen: str, words: set[str]) -> list[str]:
    """Words that the end of a line broke in two, though the line had room for the whole."""
    lines = [_ANSI.sub("", line).strip("│ ").split() for line in screen.splitlines()]
    ends = [(line[-1], after[0]) for line, after in pairwise(lines) if line and after]
    return [f"{end}|{more}" for end, more in ends if end + more in words - {end} and len(end + more) < COLUMNS]


def expected(name: str) -> dict[str, int]:
    """The row of ``TABLE``."""
    head, *rows = [[cell.strip() for cell in line.split("|")] for line in TABLE.strip().splitlines()]
    statuses = {row[0]: row[1:] for row in rows}
    return dict(zip(head[1:], map(int, statuses[name]), strict=True))


def test_a_broken_word_is_seen():
    """Between two lines, and only where it is one word."""
    assert broken_words("a lo\nng word\nof all", {"a", "long", "word", "of", "all"}) == ["lo|ng"]


@pytest.mark.parametrize("name", TYPED)
def test_every_command_ends_as_it_should_wherever_it_is_typed(there, name):
    """With its status, no traceback, no broken word, no colour where none is wanted, and one object for a program."""
    typed = TYPED[name].split()
    screen, plain = on_a_terminal(there(), *typed), on_a_terminal(there(NO_COLOR="1"), *typed)
    pipe, program = there().run(*typed), there().run(*typed, "--json")
    homeless = there(HOME="/nowhere", PREFECT_HOME=None).run(*typed)
    locked, stopped = readonly(there(), *typed), interrupted(there(), *typed)
    row = {
        "80 columns": screen,
        "pipe": pipe,
        "--json": program,
        "NO_COLOR": plain,
        "no HOME": homeless,
        "read-only folder": locked,
    }
    statuses = {where: ended.status for where, ended in row.items()}
    print(f"\n{name:13} | " + " | ".join(f"{status:>{len(where)}}" for where, status in statuses.items()))  # noqa: T201
    assert not [where for where, ended in row.items() if ended.says_traceback]
    # On a busy machine a second is not enough for Python itself to start: how Ctrl-C ends that is not ours.
    if not stopped.says_traceback or OURS in stopped.err:
        assert not stopped.says_traceback, stopped.err
        assert stopped.status in {pipe.status, STOPPED, -signal.SIGINT}
        assert stopped.status != STOPPED or "error: stopped; run it again" in stopped.err
    assert [] == broken_words(screen.out, {*pipe.out.split(), *pipe.err.split()})
    assert not _COLOUR.search(plain.out)
    assert "\x1b" not in pipe.out + pipe.err
    if typed[-1] != "--help":
        assert program.json
    assert expected(name) == statuses


@pytest.mark.parametrize("typed", ASKING)
def test_a_command_says_that_it_waits_while_nobody_answers(there, typed):
    """Shop and sellers take the connection and say nothing; a person sees a sign, and can stop it."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        impactflow = there()
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        process = impactflow.but(**dict.fromkeys(URLS, url)).start(*typed.split())
        assert process.stderr is not None
        sign = process.stderr.readline()
        assert process.poll() is None
        process.terminate()
        stopped = finish(process)
    assert re.match(r"waiting for|[a-z ]+, \d+ s: ", sign)
    assert stopped.status == 128 + signal.SIGTERM
    assert not stopped.says_traceback


@pytest.mark.parametrize("typed", ["status", "status --json", "policy schema", "place"])
def test_standard_output_that_cannot_be_written_is_told_in_a_line(there, typed):
    """A full disk behind it: what was done is done."""
    impactflow = there()
    with Path("/dev/full").open("w") as full:
        process = subprocess.Popen(
            [sys.executable, "-m", "impactflow", *typed.split()],
            cwd=impactflow.folder,
            env=impactflow.variables,
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
        )
    message = finish(process).err.splitlines()[-1]
    assert process.returncode == 1
    assert message.startswith("error: standard output cannot be written (No space left on device)")


def test_an_error_that_no_program_can_read_any_more_is_told_in_a_line(there):
    """As of a child whose parent has ended; there is no ledger by that name."""
    impactflow = there()
    variables = {**impactflow.variables, "IMPACTFLOW_LEDGER_URL": "sqlite:///none.db"}
    with Path("/dev/full").open("w") as full:
        process = subprocess.Popen(
            [sys.executable, "-m", "impactflow", "status", "--json"],
            cwd=impactflow.folder,
            env=variables,
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
        )
    ended = finish(process)
    assert process.returncode == 2
    assert [line.partition(":")[0] for line in ended.err.splitlines()] == ["error"]


def test_a_question_that_is_not_answered_ends_the_command(tmp_path, used):
    """With Ctrl-D, on a terminal."""
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        [sys.executable, "-m", "impactflow", "init"],
        cwd=tmp_path,
        env=used.variables | {"TERM": "dumb"},
        stdin=theirs,
        stdout=theirs,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        os.close(theirs)
        os.write(ours, b"\x04")
        ended = finish(process)
    os.close(ours)
    assert ended.err.splitlines()[-1].endswith(
        "error: the input ended before the last question, so no file was written"
    )
    assert ended.status == 2
    assert not list(tmp_path.iterdir())
