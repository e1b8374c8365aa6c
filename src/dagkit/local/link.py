"""How the processes of a run talk: JSON lines over a Unix socket.

The conductor (`dagkit run`) listens; Airflow's process, and any other that runs tasks, connects. Whoever is
left when the other side goes, knows it at once.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import queue
import socket
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

Message = dict[str, Any]


class Link:
    """The side that tells and asks.

    Args:
        path: The socket that the conductor listens on.
        on_lost: Called, in a thread of its own, when the conductor has gone.
    """

    def __init__(self, path: Path, on_lost: Callable[[], None]) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._socket.connect(str(path))
        self._lock = threading.Lock()
        self._numbers = itertools.count(1)
        self._replies: dict[int, queue.SimpleQueue[Message]] = {}
        self._on_lost = on_lost
        self._closed = False
        threading.Thread(target=self._read, daemon=True, name="dagkit-link").start()

    def tell(self, kind: str, **fields: Any) -> None:
        """Report something; nobody answers."""
        self._send({"kind": kind, **fields})

    def ask(self, kind: str, **fields: Any) -> Message:
        """Ask something, and wait for the answer."""
        number = next(self._numbers)
        self._replies[number] = queue.SimpleQueue()
        self._send({"kind": kind, "number": number, **fields})
        try:
            return self._replies[number].get()
        finally:
            del self._replies[number]

    def close(self) -> None:
        """End the connection from this side."""
        self._closed = True
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()

    def _send(self, message: Message) -> None:
        line = json.dumps(message, default=str).encode() + b"\n"
        # where the conductor has gone, the reading thread is ending this process
        with self._lock, contextlib.suppress(OSError):
            self._socket.sendall(line)

    def _read(self) -> None:
        with contextlib.suppress(OSError), self._socket.makefile("rb") as lines:
            for line in lines:
                reply = json.loads(line)
                self._replies[reply.pop("number")].put(reply)
        if not self._closed:
            self._on_lost()


class Exchange:
    """The side that listens: puts every message into one queue, with the way to answer it.

    Args:
        path: Where the socket is made; at most 100 characters, as Unix allows no more.
    """

    def __init__(self, path: Path) -> None:
        self.messages: queue.Queue[tuple[Message, Callable[[Message], None]]] = queue.Queue()
        self._connections: list[socket.socket] = []
        self._readers: list[threading.Thread] = []
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._listener.bind(str(path))
        self._listener.listen()
        threading.Thread(target=self._accept, daemon=True, name="dagkit-exchange").start()

    def put(self, kind: str, **fields: Any) -> None:
        """Put a message of the conductor's own into the queue."""
        self.messages.put(({"kind": kind, **fields}, lambda _reply: None))

    def next(self) -> tuple[Message, Callable[[Message], None]]:
        """The next message, and the way to answer it; waits for one."""
        while True:
            # not for ever at a time: a signal that comes just before a wait would be noticed only after it
            with contextlib.suppress(queue.Empty):
                return self.messages.get(timeout=0.2)

    def find(self, kind: str) -> Message | None:
        """The first message of a kind that waits in the queue, left there."""
        with self.messages.mutex:
            return next((message for message, _ in self.messages.queue if message["kind"] == kind), None)

    def drain(self) -> None:
        """Wait until all that was sent by connections which have ended is in the queue."""
        for reader in list(self._readers):
            reader.join(timeout=2)

    def close(self) -> None:
        """End every connection."""
        for end in (self._listener, *self._connections):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                self._connections.append(connection)
                reader = threading.Thread(target=self._read, args=(connection,), daemon=True)
                self._readers.append(reader)
                reader.start()

    def _read(self, connection: socket.socket) -> None:
        lock = threading.Lock()
        with contextlib.suppress(OSError), connection.makefile("rb") as lines:
            for line in lines:
                message: Message = json.loads(line)
                number = message.pop("number", None)

                def answer(reply: Message, number: int | None = number) -> None:
                    with lock, contextlib.suppress(OSError):
                        connection.sendall(json.dumps({"number": number, **reply}).encode() + b"\n")

                self.messages.put((message, answer))
