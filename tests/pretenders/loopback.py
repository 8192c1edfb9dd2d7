"""A server of one handler on a free port of this machine, in a thread of its own."""

import asyncio
import threading

from aiohttp import web


class Loopback:
    """Serves `answer` on 127.0.0.1 between `__enter__` and `__exit__`."""

    url: str

    def __init__(self):
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_forever, daemon=True)

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """Answer one request."""
        raise NotImplementedError

    async def open(self) -> web.ServerRunner:
        """Listen, and learn the port."""
        runner = web.ServerRunner(web.Server(self.answer, access_log=None))
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0, shutdown_timeout=0.1)
        await site.start()
        port = runner.addresses[0][1]
        self.url = f"http://127.0.0.1:{port}"
        return runner

    def __enter__(self):
        self.thread.start()
        self.runner = asyncio.run_coroutine_threadsafe(self.open(), self.loop).result(10)
        return self

    def __exit__(self, *_):
        asyncio.run_coroutine_threadsafe(self.runner.cleanup(), self.loop).result(10)
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join(10)
        self.loop.close()
