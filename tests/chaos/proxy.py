"""A network that can be broken: TCP proxies on loopback, one for each address behind them."""

import asyncio
import contextlib
import socket
import struct
import threading
from collections.abc import Coroutine, Sequence
from types import TracebackType
from typing import Any, Literal, Self, TypeVar

T = TypeVar("T")

Mode = Literal["open", "stall", "cut", "reset"]
HOST = "127.0.0.1"


class Route:
    """The way to one port. What it does to bytes can be changed at any time.

    open: passes them on, after `delay` seconds. stall: holds them until it is open again. cut:
    swallows them; a connection that lost some stays silent for good, until its client gives it up,
    as one does whose state a firewall lost. reset: resets every connection, and each new one.
    """

    def __init__(self, target: int) -> None:
        self._target = target
        self._mode: Mode = "open"
        self._delay = 0.0
        self._flowing = asyncio.Event()
        self._flowing.set()
        self._pairs: set[_Pair] = set()
        self._server: asyncio.Server | None = None
        self.port = 0

    async def listen(self) -> None:
        self._server = await asyncio.start_server(self._serve, HOST, 0)
        self.port = self._server.sockets[0].getsockname()[1]

    async def change(self, mode: Mode, delay: float = 0.0) -> None:
        self._mode, self._delay = mode, delay
        if mode == "stall":
            self._flowing.clear()
        else:
            self._flowing.set()
        if mode == "reset":
            for pair in list(self._pairs):
                pair.reset()

    async def close(self) -> None:
        if self._server:
            self._server.close()
        for pair in list(self._pairs):
            pair.reset()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        pair = _Pair(writer)
        self._pairs.add(pair)
        try:
            if self._mode == "reset":
                return
            await self._flowing.wait()
            if self._mode == "cut":
                pair.silent = True
                await self._pump(pair, reader, None)
                return
            # Where nobody listens behind it the client is reset too: close to being refused.
            with contextlib.suppress(OSError):
                answers, pair.far = await asyncio.open_connection(HOST, self._target)
                there = asyncio.create_task(self._pump(pair, reader, pair.far))
                back = asyncio.create_task(self._pump(pair, answers, writer))
                await asyncio.wait((there, back), return_when=asyncio.FIRST_COMPLETED)
                if pair.silent:
                    # The far end may close; word of it never arrives.
                    await there
                for task in (there, back):
                    task.cancel()
        finally:
            pair.reset()
            self._pairs.discard(pair)

    async def _pump(
        self, pair: "_Pair", reader: asyncio.StreamReader, writer: asyncio.StreamWriter | None
    ) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(65_536):
                pair.silent = pair.silent or self._mode == "cut"
                if self._delay:
                    await asyncio.sleep(self._delay)
                await self._flowing.wait()
                if not pair.silent and writer is not None:
                    writer.write(data)
                    await writer.drain()


class _Pair:
    """A client's connection and the one behind it."""

    def __init__(self, near: asyncio.StreamWriter) -> None:
        self.near = near
        self.far: asyncio.StreamWriter | None = None
        self.silent = False

    def reset(self) -> None:
        for writer in (self.near, self.far):
            if writer is None or writer.transport.is_closing():
                continue
            # A close that does not linger is a reset.
            plug = writer.get_extra_info("socket")
            with contextlib.suppress(OSError):
                plug.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            writer.transport.abort()


class Network:
    """Routes to `targets`, served from a thread of their own while the context is open."""

    def __init__(self, targets: Sequence[int]) -> None:
        self._targets = targets
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="network")
        self._routes: list[Route] = []

    def __enter__(self) -> Self:
        self._thread.start()
        self._run(self._open())
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._run(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    @property
    def ports(self) -> list[int]:
        return [route.port for route in self._routes]

    def change(self, route: int, mode: Mode, delay: float = 0.0) -> None:
        """Let `route` do what `mode` says; see Route."""
        self._run(self._routes[route].change(mode, delay))

    async def _open(self) -> None:
        self._routes = [Route(target) for target in self._targets]
        for route in self._routes:
            await route.listen()

    async def _close(self) -> None:
        for route in self._routes:
            await route.close()
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _run(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(timeout=30)
