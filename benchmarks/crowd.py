"""A crowd of viewers, each of which asks the same again and again: a client in one thread.

It takes so little of the processors that it hardly slows the server that it measures.
"""

from __future__ import annotations

from collections.abc import Sequence
from heapq import heappop, heappush
from selectors import EVENT_READ, DefaultSelector
from socket import AF_UNIX, socket
from time import perf_counter
from typing import NamedTuple

LARGEST = 65_536


class Asking(NamedTuple):
    """One request that is under way."""

    viewer: int
    since: float


def watch(
    address: str, urls: Sequence[str], *, status: int, pace: float, seconds: float
) -> list[float]:
    """Return how many seconds each answer took, in the order in which they came.

    Args:
        address: Of a server's socket, which closes the connection after each answer.
        urls: What each viewer asks for.
        status: The code with which each request is to be answered.
        pace: Seconds that a viewer waits after an answer.
    """
    begin = perf_counter()
    due = [(begin + pace * number / len(urls), number) for number in range(len(urls))]
    requests = [request_for(url) for url in urls]
    took: list[float] = []
    with DefaultSelector() as selector:
        while perf_counter() < begin + seconds:
            while due and due[0][0] <= perf_counter():
                since, viewer = heappop(due)
                connection = ask(address, requests[viewer])
                selector.register(connection, EVENT_READ, (Asking(viewer, since), bytearray()))
            pause = max(0.0, due[0][0] - perf_counter()) if due else 1.0
            for key, _ in selector.select(pause):
                asking, answer = key.data
                more = key.fileobj.recv(LARGEST)
                answer += more
                if not more:
                    selector.unregister(key.fileobj)
                    key.fileobj.close()
                    check(answer, status)
                    now = perf_counter()
                    took.append(now - asking.since)
                    heappush(due, (now + pace, asking.viewer))
        for key in list(selector.get_map().values()):
            key.fileobj.close()
    return took


def request_for(url: str) -> bytes:
    return f"GET {url} HTTP/1.1\r\nHost: localhost\r\nHX-Request: true\r\n\r\n".encode()


def ask(address: str, request: bytes) -> socket:
    connection = socket(AF_UNIX)
    connection.connect(address)
    connection.sendall(request)
    return connection


def check(answer: bytes, status: int) -> None:
    if not answer.startswith(f"HTTP/1.1 {status} ".encode()):
        raise RuntimeError(f"Not answered with {status}: {bytes(answer[:200])!r}")
