"""The Socket.IO server on its own, with the clients that people use: python-socketio and, where node is there, the
JavaScript one.

    python echo.py PATH/TO/examples/echo

Ends with 0 when every step held; otherwise the step that failed stands last. Needs the packages of `requirements.txt` and
`package.json` beside this file.
"""

import re
import subprocess
import sys
import threading
from pathlib import Path

import socketio

PATIENCE = 30
WAYS = (["websocket"], ["polling"], ["polling", "websocket"])
LONG = "x" * 900_000


class Echo:
    """The echo server as a process."""

    def __init__(self, program: str, *options: str):
        self.process = subprocess.Popen([program, "--port", "0", *options], stdout=subprocess.PIPE, text=True)
        self.url = "http://" + re.fullmatch(r"listening on (.*)\n", self.process.stdout.readline())[1]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()


class Client:
    """A client of python-socketio in some namespace, which keeps what it gets."""

    def __init__(self, url: str, transports: list[str], namespace: str, auth=None):
        self.namespace = namespace
        self.events = []
        self.changed = threading.Condition()
        self.client = socketio.Client(reconnection=False)
        self.client.on("*", self.add, namespace=namespace)
        self.client.on("disconnect", lambda *_: self.add("disconnected"), namespace=namespace)
        self.client.connect(url, transports=transports, namespaces=[namespace], auth=auth, wait_timeout=PATIENCE)

    def add(self, event, *arguments):
        with self.changed:
            self.events.append((event, *arguments))
            self.changed.notify_all()

    def wait(self, count: int):
        """The first events, so many of them, which are taken."""
        with self.changed:
            if not self.changed.wait_for(lambda: len(self.events) >= count, PATIENCE):
                raise AssertionError(f"{count} events were waited for; got {self.events[:3]} and so on")
            events, self.events = self.events[:count], self.events[count:]
            return events


def equal(seen, expected, what: str):
    if seen != expected:
        raise AssertionError(f"{what}: {str(seen)[:500]} instead of {str(expected)[:500]}")


def walk(url: str, transports: list[str], namespace: str):
    """Everything that the server does, in one namespace."""
    client = Client(url, transports, namespace, {"token": "abc"})
    equal(client.wait(1), [("auth", {"token": "abc"})], "what was shown")
    for arguments in ([], [1, "2", {"3": [True, None]}], ["\u00e9\U0001f600"], [LONG], [b"\x00\x01", {"b": b"x" * 100_000}]):
        client.client.emit("message", tuple(arguments), namespace=namespace)
        equal(client.wait(1), [("message-back", *arguments)], "an event")
        back = client.client.call("message-with-ack", tuple(arguments), namespace=namespace, timeout=PATIENCE)
        expected = {0: None, 1: arguments[0] if arguments else None}.get(len(arguments), arguments)
        equal(list(back) if isinstance(back, tuple) else back, expected, "an acknowledgement")
    for number in range(500):
        client.client.emit("message", number, namespace=namespace)
    equal(client.wait(500), [("message-back", number) for number in range(500)], "the order")
    equal(client.client.transport(), transports[-1], "the transport")
    client.client.disconnect()


def python(program: str):
    with Echo(program) as echo:
        for transports in WAYS:
            for namespace in ("/", "/custom"):
                walk(echo.url, transports, namespace)
        try:
            Client(echo.url, ["websocket"], "/unknown")
        except socketio.exceptions.ConnectionError:
            pass
        else:
            raise AssertionError("an unknown namespace was entered")
    # Clients answer pings, and notice that a server is gone.
    with Echo(program, "--ping-interval", "100", "--ping-timeout", "5000") as echo:
        clients = [Client(echo.url, transports, "/") for transports in WAYS]
        for client in clients:
            client.wait(1)
            for number in range(20):
                client.client.sleep(0.05)
                back = client.client.call("message-with-ack", number, timeout=PATIENCE)
                equal(back, number, "an acknowledgement among pings")
    for client in clients:
        equal([event for event, *_ in client.wait(1)], ["disconnected"], "the end")


def javascript(program: str):
    with Echo(program, "--ping-interval", "300") as echo:
        script = Path(__file__).with_name("echo.mjs")
        subprocess.run(["node", script, echo.url], check=True, timeout=10 * PATIENCE)


if __name__ == "__main__":
    python(sys.argv[1])
    print("python-socketio: ok")
    javascript(sys.argv[1])
    print("socket.io-client: ok")
