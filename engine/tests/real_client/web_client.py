"""An operator at the web client, with the Socket.IO client of its browser: what its page's socket gets before the login,
after it and after the logout.

    python web_client.py PATH/TO/borealis-engine

Needs `node` and the packages of `package.json` beside this file (`npm ci`). Ends with 0 when every step held; otherwise the
step that failed stands last.
"""

import json
import queue
import subprocess
import threading
import time
from pathlib import Path

from agent import PATIENCE
from agent_life import enroll
from server import Server
from story import equal, step, tell

WAYS = (["websocket"], ["polling"], ["polling", "websocket"])
PAGE = "<!doctype html><title>Borealis</title>"


class WebClient:
    """`web_client.mjs` as a process."""

    def __init__(self, server: Server, transports: list[str]):
        here = Path(__file__).parent
        bundle = Path(server.root, "Certificates/Server/borealis-server-bundle.pem")
        self.process = subprocess.Popen(
            ["node", here / "web_client.mjs", server.url, bundle, *transports],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=here,
        )
        self.answers = queue.Queue()
        self.happened = []
        self.changed = threading.Condition()
        threading.Thread(target=self.read, daemon=True).start()

    def read(self):
        for line in self.process.stdout:
            said = json.loads(line)
            if "happened" not in said:
                self.answers.put(said)
                continue
            with self.changed:
                self.happened.append(said)
                self.changed.notify_all()

    def do(self, command: str, **rest):
        self.process.stdin.write(json.dumps({"command": command, **rest}) + "\n")
        self.process.stdin.flush()
        said = self.answers.get(timeout=2 * PATIENCE)
        if "failure" in said:
            raise AssertionError(f"{command}: {said['failure']}")
        return said["answer"]

    def ask(self, method: str, path: str, body=None) -> dict:
        rest = {} if body is None else {"body": body}
        return self.do("ask", method=method, path=path, **rest)

    def wait(self, what: str, number: int):
        """Waits until this has happened so often."""
        with self.changed:
            if not self.changed.wait_for(lambda: self.count(what) >= number, 2 * PATIENCE):
                raise AssertionError(f"{what} has not happened {number} times: {self.happened}")

    def count(self, what: str) -> int:
        return sum(1 for said in self.happened if said["happened"] == what)

    def events(self, name: str) -> list:
        with self.changed:
            return [said["data"] for said in self.happened if said.get("event") == name]

    def close(self):
        self.process.stdin.close()
        self.process.wait(PATIENCE)


def wait_until(condition, failure: str):
    end = time.monotonic() + 2 * PATIENCE
    while not condition():
        if time.monotonic() > end:
            raise AssertionError(failure)
        time.sleep(0.05)


def next_second():
    """Sessions that one account is given in one second are one and the same."""
    now = int(time.time())
    wait_until(lambda: int(time.time()) > now, "time stands still")


def one_day(server: Server, agent, channel, viewer, transports: list[str]):
    client = WebClient(server, transports)
    shown = []

    def show_screen() -> dict:
        """A live event; that another operator has it says that it was sent to all who are to have it."""
        task = {"agent_id": agent.agent_id, "node_id": f"n{len(shown)}", "image_base64": "QUJD"}
        shown.append(task)
        channel.call("agent_screenshot_task", task)
        equal(viewer.inbox.take("agent_screenshot_task"), task)
        return task

    def live(name="agent_screenshot_task"):
        return client.events(name)

    step("the page, and its socket before the login: no live event")
    page = client.ask("GET", "/")
    equal((page["status"], page["body"]), (200, PAGE))
    equal(client.do("cookies"), ["borealis_browser"])
    next_second()
    client.do("open")
    client.wait("connect", 1)
    show_screen()

    step("the login: the socket comes back by itself, and live events arrive")
    login = client.ask("POST", "/api/auth/login", {"username": "admin", "password": "Password"})
    equal(login["status"], 200)
    equal(client.do("cookies"), ["borealis_auth", "borealis_browser", "session"])
    client.wait("connect", 2)
    wait_until(lambda: client.do("transport") == transports[-1], "the transport is another one")
    task = show_screen()
    wait_until(lambda: task in live(), "no live event after the login")
    equal(live(), [task])

    step("another browser logs in and out: this one's socket stays")
    next_second()
    other = WebClient(server, transports)
    other.ask("GET", "/")
    other.ask("POST", "/api/auth/login", {"username": "admin", "password": "Password"})
    other.do("open")
    other.wait("connect", 1)
    equal(other.ask("POST", "/api/auth/logout")["status"], 200)
    other.wait("connect", 2)
    task = show_screen()
    wait_until(lambda: task in live(), "no live event after another browser's logout")
    equal(client.count("connect"), 2)
    equal(other.events("agent_screenshot_task"), [])
    other.close()

    step("the logout: the socket comes back as nobody's, and no live event arrives")
    seen = len(live())
    equal(client.ask("POST", "/api/auth/logout")["status"], 200)
    equal(client.do("cookies"), ["borealis_browser"])
    client.wait("connect", 3)
    show_screen()
    # What the server sends to nobody it would have sent before this page, which a browser asks for afterwards.
    equal(client.ask("GET", "/health")["status"], 200)
    time.sleep(1)
    equal(len(live()), seen)

    step("and again")
    client.ask("POST", "/api/auth/login", {"username": "admin", "password": "Password"})
    client.wait("connect", 4)
    task = show_screen()
    wait_until(lambda: task in live(), "no live event after the second login")
    client.close()


def story(server: Server):
    agent, operator = enroll(server)
    channel = agent.connect(["websocket"])
    agent.come_online(channel)
    viewer = operator.connect(["websocket"])
    for transports in WAYS:
        step(f"--- {' then '.join(transports)}")
        one_day(server, agent, channel, viewer, transports)
    channel.close()
    viewer.close()
    server.stop()


class WithPage(Server):
    """A server that has a web client to serve."""

    def launch(self):
        folder = Path(self.root, "Data/Server/web-interface/build")
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "index.html").write_text(PAGE)
        super().launch()


if __name__ == "__main__":
    tell("web client", __doc__, story, WithPage)
