"""A server of one handler on a free port of this machine, in a thread of its own."""

import asyncio
import threading
from abc import ABC, abstractmethod

from aiohttp import web


class Loopback(ABC):
    """Serves `answer` on 127.0.0.1 between `__enter__` and `__exit__`."""

    url: str
    stalled_s: float = 0
    """The longest time, in seconds, that a busy machine kept this server from answering."""

    def __init__(self):
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_forever, daemon=True)

    @abstractmethod
    async def answer(self, request: web.Request) -> web.StreamResponse:
        """Answer one request."""

    async def open(self) -> web.ServerRunner:
        """Listen, and learn the port."""
        runner = web.ServerRunner(web.Server(self.answer, access_log=None))
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0, shutdown_timeout=0.1)
        await site.start()
        port = runner.addresses[0][1]
        self.url = f"http://127.0.0.1:{port}"
        self.pulse = asyncio.create_task(self.beat())
        return runner

    async def beat(self) -> None:
        """Notice how long this thread had to wait for its turn."""
        while True:
            before = self.loop.time()
            await asyncio.sleep(0.1)
            self.stalled_s = max(self.stalled_s, self.loop.time() - before - 0.1)

    def __enter__(self):
        self.thread.start()
        self.runner = asyncio.run_coroutine_threadsafe(self.open(), self.loop).result(10)
        return self

    def __exit__(self, *_):
        self.loop.call_soon_threadsafe(self.pulse.cancel)
        asyncio.run_coroutine_threadsafe(self.runner.cleanup(), self.loop).result(10)
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join(10)
        self.loop.close()
