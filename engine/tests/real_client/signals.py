"""What the server does when it is told to: SIGHUP, SIGTERM with downloads that stall, and SIGTERM twice.

    python signals.py PATH/TO/borealis-engine

Ends with 0 when every step held; otherwise the step that failed stands last.
"""

import signal
import socket
import time
from pathlib import Path

from server import START_PATIENCE, Server
from story import equal, step, tell

# What the server announces, and what a busy machine may add to it.
ANNOUNCED = 10
SLACK = 10
STALLED = 60

# What the server logs as it stops.
STOPPING = "stopping: "
ENDED_AT_ONCE = "ended at once by a second signal"


def place_client(server: Server):
    """A web client with a file that fills every buffer between server and browser."""
    folder = Path(server.root, "Data/Server/web-interface/build/assets")
    folder.mkdir(parents=True)
    (folder.parent / "index.html").write_text("<html></html>")
    (folder / "big.bin").write_bytes(bytes(64 * 1024 * 1024))


def stall(server: Server) -> list[socket.socket]:
    """Downloads whose clients stop reading after the first bytes."""
    connections = []
    for _ in range(STALLED):
        connection = socket.create_connection(("127.0.0.1", server.port), START_PATIENCE)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.sendall(b"GET /assets/big.bin HTTP/1.1\r\nHost: localhost\r\n\r\n")
        equal(connection.recv(12), b"HTTP/1.1 200")
        connections.append(connection)
    return connections


def live(server: Server):
    step("SIGHUP does not end it")
    server.process.send_signal(signal.SIGHUP)
    server.wait_until(lambda: "SIGHUP" in server.log(), "SIGHUP is not logged")
    equal(server.answers(), True)

    step(f"SIGTERM ends it within the {ANNOUNCED} s that it announces, however many downloads stall")
    connections = stall(server)
    begin = time.monotonic()
    server.stop()
    took = time.monotonic() - begin
    equal(took < ANNOUNCED + SLACK, True)
    equal(f"has {ANNOUNCED} s at most" in server.log(), True)
    for connection in connections:
        connection.close()

    step("a second SIGTERM ends it at once")
    for second in (signal.SIGTERM, signal.SIGINT):
        server.start()
        connections = stall(server)
        # Earlier starts wrote into the same log, and two equal signals that nobody took up yet are one to the kernel.
        stopped, ended = server.log_count(STOPPING), server.log_count(ENDED_AT_ONCE)
        server.process.send_signal(signal.SIGTERM)
        server.wait_until(lambda: server.log_count(STOPPING) > stopped, "the first signal is not logged")
        server.process.send_signal(second)
        equal(server.process.wait(ANNOUNCED / 2), 1)
        equal(server.log_count(ENDED_AT_ONCE), ended + 1)
        for connection in connections:
            connection.close()
    step("and the database is whole")
    server.process = None
    server.start()
    server.stop()
    equal("has every table" in server.run("check"), True)


def prepared(binary: Path, root: Path, variables: dict | None) -> Server:
    server = Server(binary, root, {"BOREALIS_TLS": "off"} | (variables or {}))
    server.url = f"http://localhost:{server.port}"
    place_client(server)
    return server


if __name__ == "__main__":
    tell("signals", __doc__, live, prepared)
