"""A way from a worker to its database that fails when a test wants it to."""

from __future__ import annotations

import contextlib
import os
import socket
import threading

from django.db import connection


class Proxy:
    """A way to the tests' database that can be cut, and can hang.

    Attributes:
        url: The address of the database, this way.
    """

    def __init__(self) -> None:
        given = connection.settings_dict
        self.target = (given["HOST"], int(given["PORT"]))
        self.port = 0
        self.sockets: list[socket.socket] = []
        self.flowing = threading.Event()
        self.flowing.set()
        self.mend()
        self.url = os.environ["DATABASE_URL"].replace(f":{given['PORT']}/", f":{self.port}/")

    def cut(self) -> None:
        """Refuse new connections, and break the open ones, until mend()."""
        with contextlib.suppress(OSError):  # cut already
            self.listener.shutdown(socket.SHUT_RDWR)
        self.accepting.join()
        self.listener.close()
        for end in self.sockets:
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()
        self.sockets.clear()

    def mend(self) -> None:
        """Take connections, on the same port as ever."""
        self.listener = socket.create_server(("127.0.0.1", self.port))
        self.port = self.listener.getsockname()[1]
        self.accepting = threading.Thread(target=self._accept, daemon=True)
        self.accepting.start()

    def hang(self) -> None:
        """Accept everything and pass on nothing, until flow()."""
        self.flowing.clear()

    def flow(self) -> None:
        self.flowing.set()

    def close(self) -> None:
        self.cut()
        self.flow()  # after the cut, so that what was held reaches nobody

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            server = socket.create_connection(self.target)
            self.sockets += [client, server]
            for source, sink in ((client, server), (server, client)):
                threading.Thread(target=self._pump, args=(source, sink), daemon=True).start()

    def _pump(self, source: socket.socket, sink: socket.socket) -> None:
        try:
            while data := source.recv(65536):
                self.flowing.wait()
                sink.sendall(data)
        except OSError:
            return
        finally:
            for end in (source, sink):
                with contextlib.suppress(OSError):
                    end.shutdown(socket.SHUT_RDWR)
