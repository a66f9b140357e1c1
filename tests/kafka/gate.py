"""A way to a server that counts who comes: a TCP proxy on loopback."""

import contextlib
import socket
import threading
from types import TracebackType
from typing import Self


class Gate:
    """Passes connections on to a port, counts them, and can drop all that are open.

    With no port to pass them on to it accepts them and never answers. Served by threads of its own;
    a context manager.
    """

    def __init__(self, target: int | None) -> None:
        self._target = target
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=100)
        self.port: int = self._listener.getsockname()[1]
        self.connections = 0
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._accept, name="gate")

    def __enter__(self) -> Self:
        """Begin to let connections through."""
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Shut, and drop what is open."""
        # Wakes the accept, which a close alone does not.
        self._listener.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._listener.close()
        self.drop()

    def drop(self) -> None:
        """Break every open connection; new ones are let through."""
        with self._lock:
            for plug in self._open:
                with contextlib.suppress(OSError):
                    plug.shutdown(socket.SHUT_RDWR)

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            far = None
            if self._target is not None:
                try:
                    far = socket.create_connection(("127.0.0.1", self._target))
                except OSError:
                    near.close()
                    continue
            with self._lock:
                self._open |= {near, far} if far else {near}
            threading.Thread(target=self._serve, args=(near, far), daemon=True).start()

    def _serve(self, near: socket.socket, far: socket.socket | None) -> None:
        if far is None:
            self._pump(near, None)
        else:
            back = threading.Thread(target=self._pump, args=(far, near), daemon=True)
            back.start()
            self._pump(near, far)
            back.join()
        with self._lock:
            for plug in filter(None, (near, far)):
                self._open.discard(plug)
                plug.close()

    def _pump(self, source: socket.socket, sink: socket.socket | None) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65_536):
                if sink is not None:
                    sink.sendall(data)
        for plug in filter(None, (source, sink)):
            with contextlib.suppress(OSError):
                plug.shutdown(socket.SHUT_RDWR)
