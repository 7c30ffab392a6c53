"""A TCP proxy that breaks on command what passes through it."""

from __future__ import annotations

import selectors
import socket
import struct
import threading
import time
from dataclasses import dataclass, field


@dataclass
class _Pair:
    """One connection: the client's socket and ours to the server, and what waits to be written to each."""

    ends: tuple[socket.socket, socket.socket]
    pending: tuple[bytearray, bytearray] = field(default_factory=lambda: (bytearray(), bytearray()))


class FaultyProxy:
    """Forwards a port of its own to `target`, until told otherwise. A context manager.

    `up` counts the bytes towards the server, `down` those back, over all connections.
    """

    def __init__(self, target: int) -> None:
        self._target = target
        self._selector = selectors.DefaultSelector()
        self._pairs: list[_Pair] = []
        self._lock = threading.RLock()
        self._listener: socket.socket | None = None
        self._stalled = self._stopping = False
        self._cut_at: dict[str, int] = {}
        self._flip = {"up": 0, "down": 0}
        self.counts = {"up": 0, "down": 0}
        self.faults: list[str] = []
        self.port = 0
        self._listen()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def __enter__(self) -> FaultyProxy:
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping = True
        self._thread.join()
        with self._lock:
            self._drop_all(reset=False)
            if self._listener:
                self._listener.close()

    def cut(self, reset: bool = True) -> None:
        """Close every connection, with a reset or politely."""
        with self._lock:
            self.faults.append("cut with a reset" if reset else "cut politely")
            self._drop_all(reset)

    def cut_after(self, n: int, direction: str = "up") -> None:
        """Cut when so many more bytes have passed in a direction."""
        with self._lock:
            self._cut_at[direction] = self.counts[direction] + n

    def corrupt(self, n: int, direction: str = "down") -> None:
        """Flip a bit of each of the next `n` bytes in a direction."""
        with self._lock:
            self.faults.append("corrupted bytes")
            self._flip[direction] = n

    def stall(self) -> None:
        """Forward nothing more and close nothing, as a dead network does."""
        self.faults.append("stalled")
        self._stalled = True

    def flow(self) -> None:
        """End a stall: connections of before stay dead, new ones work."""
        with self._lock:
            self._drop_all(reset=True)
            self._stalled = False

    def refuse(self) -> None:
        """Refuse new connections and cut those there are."""
        with self._lock:
            self.faults.append("refused")
            if self._listener:
                self._selector.unregister(self._listener)
                self._listener.close()
                self._listener = None
            self._drop_all(reset=True)

    def accept(self) -> None:
        """Take connections again, on the same port."""
        with self._lock:
            if self._listener is None:
                self._listen()

    def _listen(self) -> None:
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", self.port))
        listener.listen(50)
        listener.setblocking(False)
        self.port = int(listener.getsockname()[1])
        self._listener = listener
        self._selector.register(listener, selectors.EVENT_READ, None)

    def _serve(self) -> None:
        while not self._stopping:
            if self._stalled:
                time.sleep(0.01)
                continue
            events = self._selector.select(0.02)
            with self._lock:
                for key, mask in events:
                    if self._stalled:
                        break
                    if key.fileobj is self._listener:
                        self._open()
                    elif key.data in self._pairs:
                        self._move(key.data, key.fileobj, mask)  # type: ignore[arg-type]

    def _open(self) -> None:
        assert self._listener
        try:
            client, _ = self._listener.accept()
        except OSError:
            return
        server = socket.socket()
        if server.connect_ex(("127.0.0.1", self._target)):
            client.close()
            server.close()
            return
        pair = _Pair((client, server))
        self._pairs.append(pair)
        for end in pair.ends:
            end.setblocking(False)
            end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._selector.register(end, selectors.EVENT_READ, pair)

    def _move(self, pair: _Pair, end: socket.socket, mask: int) -> None:
        here = pair.ends.index(end)
        there = 1 - here
        try:
            if mask & selectors.EVENT_READ:
                data = bytearray(end.recv(1 << 14))
                if not data:
                    return self._drop(pair, reset=False)
                direction = ("up", "down")[here]
                flip = min(self._flip[direction], len(data))
                data[:flip] = bytes(byte ^ 1 for byte in data[:flip])
                self._flip[direction] -= flip
                self.counts[direction] += len(data)
                if self.counts[direction] >= self._cut_at.get(direction, 1 << 62):
                    del self._cut_at[direction]
                    return self.cut()
                pair.pending[there].extend(data)
            for side in (0, 1):
                if pair.pending[side]:
                    try:
                        sent = pair.ends[side].send(pair.pending[side])
                    except BlockingIOError:
                        sent = 0
                    del pair.pending[side][:sent]
                wanted = selectors.EVENT_READ * (len(pair.pending[1 - side]) < 1 << 20)
                wanted |= selectors.EVENT_WRITE * bool(pair.pending[side])
                self._selector.modify(pair.ends[side], wanted or selectors.EVENT_READ, pair)
        except OSError:
            self._drop(pair, reset=False)
        return None

    def _drop_all(self, reset: bool) -> None:
        for pair in list(self._pairs):
            self._drop(pair, reset)

    def _drop(self, pair: _Pair, reset: bool) -> None:
        self._pairs.remove(pair)
        for end in pair.ends:
            self._selector.unregister(end)
            if reset:
                end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            end.close()
