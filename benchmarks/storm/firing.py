"""Send a storm and note each answer. Raw sockets, because libraries send nothing that is wrong. For ``storm``."""

import asyncio
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from urllib.parse import urlsplit

from benchmarks.storm.plan import Manner, Shot

#: The longest time to wait for an answer, in seconds.
_LONGEST_S = 60.0
_PIECE = 64 * 1024


@dataclass
class Answers:
    """
    The answers that came back.

    Args:
        statuses: For each kind, the count of each status; 0 stands for no answer.
        wrong: Wrong answers: kind and status.
        seconds: Time from the last byte sent to each answer, of requests that were not slow on purpose.
    """

    statuses: dict[str, dict[int, int]] = field(default_factory=lambda: defaultdict(lambda: defaultdict(int)))
    wrong: list[tuple[str, int]] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)

    def quantile(self, part: float) -> float:
        """Return the longest time among the fastest ``part`` of the answers."""
        return sorted(self.seconds)[min(len(self.seconds) - 1, int(part * len(self.seconds)))]


async def fire(
    url: str, shots: Sequence[Shot], at_once: int, on_answer: Callable[[int], None], answers: Answers
) -> None:
    """
    Send everything, some of it twice.

    Args:
        url: The receiver's URL.
        shots: The requests to send.
        at_once: Number of senders; those that are slow on purpose come on top.
        on_answer: Called after each answer with the number of answers so far.
        answers: The answers are noted here.
    """
    places = asyncio.Semaphore(at_once)
    count = 0

    async def one(shot: Shot) -> None:
        nonlocal count
        slow = shot.manner in {Manner.DRIPPING, Manner.STALLING}
        if slow:
            status, seconds = await send(url, shot)
        else:
            async with places:
                status, seconds = await send(url, shot)
        count += 1
        answers.statuses[shot.kind][status] += 1
        if status not in shot.statuses:
            answers.wrong.append((shot.kind, status))
        if not slow and status:
            answers.seconds.append(seconds)
        on_answer(count)

    refunds = [shot.refund for shot in shots if shot.refund]
    storm = [each for shot in shots for each in ([shot, shot] if shot.twice else [shot])]
    again = [replace(shot, statuses=frozenset({200})) for shot in shots if shot.again]
    for wave in (refunds, storm, again):
        async with asyncio.TaskGroup() as tasks:
            for shot in wave:
                tasks.create_task(one(shot))


async def send(url: str, shot: Shot) -> tuple[int, float]:
    """Return the status, 0 where none came, and the seconds from the first byte to the answer."""
    parts = urlsplit(url)
    began = time.perf_counter()
    try:
        async with asyncio.timeout(_LONGEST_S):
            reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
            try:
                sending = asyncio.create_task(_write(writer, shot))
                line = await reader.readline()
                sending.cancel()
                await asyncio.wait({sending})
            finally:
                writer.close()
    except (OSError, TimeoutError):
        line = b""
    return (int(line.split()[1]) if line.startswith(b"HTTP/1.1 ") else 0), time.perf_counter() - began


async def _write(writer: asyncio.StreamWriter, shot: Shot) -> None:
    body, chunked = shot.post.body, shot.manner is Manner.CHUNKED
    length = {"transfer-encoding": "chunked"} if chunked else {"content-length": str(len(body))}
    headers = {"host": "receiver", "connection": "close", **shot.post.headers, **length}
    head = f"POST {shot.post.path} HTTP/1.1\r\n" + "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    try:
        writer.write(head.encode() + b"\r\n")
        match shot.manner:
            case Manner.WHOLE:
                writer.write(body)
            case Manner.CHUNKED:
                for start in range(0, len(body), _PIECE):
                    piece = body[start : start + _PIECE]
                    writer.write(b"%x\r\n%s\r\n" % (len(piece), piece))
                    await writer.drain()
                writer.write(b"0\r\n\r\n")
            case Manner.DRIPPING:
                for start in range(0, len(body), 32):
                    writer.write(body[start : start + 32])
                    await asyncio.sleep(0.2)
            case Manner.STALLING:
                for start in range(len(body) - 1):
                    writer.write(body[start : start + 1])
                    await asyncio.sleep(1)
                await asyncio.sleep(_LONGEST_S)
            case Manner.LOST:
                writer.write(body[: len(body) // 2])
                await writer.drain()
                writer.close()
        await writer.drain()
    except OSError:
        pass  # the receiver has closed; its answer is what counts
