"""A whole agent life against the release binary, over TLS with the certificate that enrollment gave.

    python agent_life.py PATH/TO/borealis-engine

Ends with 0 when every step held; otherwise the step that failed stands last.
"""

import sys
import tempfile
import warnings
from pathlib import Path

from agent import PATIENCE, Agent, Channel
from server import Server, pinned, session


class Operator:
    """Somebody at the web client."""

    def __init__(self, server: Server, certificate: str):
        self.server = server
        self.http = session(pinned(certificate))
        answer = self.post("/api/auth/login", {"username": "admin", "password": "Password"})
        self.token = answer["token"]

    def post(self, path: str, body: dict) -> dict:
        answer = self.http.post(self.server.url + path, json=body, timeout=PATIENCE)
        answer.raise_for_status()
        return answer.json()

    def get(self, path: str) -> dict:
        answer = self.http.get(self.server.url + path, timeout=PATIENCE)
        answer.raise_for_status()
        return answer.json()


def equal(found, wanted):
    if found != wanted:
        raise AssertionError(f"{found!r} is not {wanted!r}")


def step(text: str):
    print(f"  {text}", flush=True)


def enroll(server: Server) -> tuple[Agent, Operator]:
    step("an operator makes an install code; the agent asks to join and is given the certificate")
    bundle = Path(server.root, "Certificates/Server/borealis-server-bundle.pem").read_text()
    operator = Operator(server, bundle)
    code = operator.post("/api/admin/enrollment-codes", {"ttl_hours": 1, "max_uses": 1})["code"]
    agent = Agent(server, "REAL-AGENT")
    agent.request_enrollment(code)
    equal(agent.certificate, bundle)
    step("pending, approved, tokens given")
    equal(agent.poll()["status"], "pending")
    approval = operator.get("/api/admin/device-approvals?status=pending")["approvals"][0]
    operator.post(f"/api/admin/device-approvals/{approval['id']}/approve", {})
    equal(agent.poll()["status"], "approved")
    return agent, operator


def come_online(agent: Agent, channel: Channel):
    """What a shipped agent does each time its channel is up, in its order."""
    channel.call("connect_agent", {"agent_id": agent.agent_id, "service_mode": "system"})
    agent.post("/api/agent/heartbeat", {"hostname": agent.hostname, "metrics": {"operating_system": "Debian 12"}})
    channel.call("request_config", {"agent_id": agent.agent_id})
    account = agent.post("/api/agent/checkin", {"agent_id": agent.agent_id, "hostname": agent.hostname})
    equal(account["agent_guid"], agent.tokens["guid"])


def show_screen(agent: Agent, channel: Channel, viewer: Channel, image: str):
    task = {"agent_id": agent.agent_id, "node_id": "n1", "image_base64": image, "timestamp": 1}
    channel.call("agent_screenshot_task", task)
    equal(viewer.inbox.take("agent_screenshot_task"), task)


def live(server: Server):
    agent, operator = enroll(server)
    expired = {"from_now_on": False}

    def agent_headers():
        return agent.headers(agent.expired_token() if expired["from_now_on"] else None)

    step("the channel over websocket, with the headers of a shipped agent")
    channel = agent.connect(["websocket"], agent_headers)
    equal(channel.client.transport(), "websocket")
    come_online(agent, channel)
    step("an operator's channel over polling, upgraded to websocket")
    cookie = f"borealis_auth={operator.token}"
    # The library takes the cookie out of the headers it was given: it has to ask for them each time.
    viewer = Channel(server, agent.certificate, lambda: {"Cookie": cookie}, ["polling", "websocket"])
    equal(viewer.client.transport(), "websocket")
    step("the agent is listed; a screenshot reaches the operator")
    equal(operator.get("/api/agents")[agent.agent_id]["service_mode"], "system")
    show_screen(agent, channel, viewer, "QUJD" * 100)
    step("a configuration reaches the agent")
    roles = [{"role": "screenshot", "node_id": "n1", "interval": 1000}]
    operator.post("/api/agent/provision", {"agent_id": agent.agent_id, "roles": roles})
    equal(channel.inbox.take("agent_config"), {"agent_id": agent.agent_id, "roles": roles})
    step("the token is refreshed; a second channel of the agent over polling, upgraded")
    agent.refresh()
    second = agent.connect(["polling", "websocket"])
    equal(second.client.transport(), "websocket")
    come_online(agent, second)
    show_screen(agent, second, viewer, "eHl6" * 100)
    second.close()
    step("a channel that stays on polling, with an image in many packets' worth of text")
    third = agent.connect(["polling"])
    equal(third.client.transport(), "polling")
    show_screen(agent, third, viewer, "WFla" * 500_000)
    third.close()

    step("the server restarts; both channels come back by themselves, the agent's with an expired token")
    expired["from_now_on"] = True
    server.stop()
    server.start()
    channel.wait_for_connection(2)
    viewer.wait_for_connection(2)
    come_online(agent, channel)
    show_screen(agent, channel, viewer, "REVG" * 100)
    step("whoever has no rights on the channel changes nothing")
    stranger = Channel(server, agent.certificate, {}, ["websocket"])
    stranger.client.emit("agent_screenshot_task", {"agent_id": agent.agent_id, "node_id": "n1", "image_base64": "no"})
    stranger.client.emit("list_agent_windows", {})
    show_screen(agent, channel, viewer, "R0hJ" * 100)
    equal([name for name, _ in viewer.inbox.events], [])
    for open_channel in (channel, viewer, stranger):
        open_channel.close()
    step("the server stops in order")
    server.stop()


def main():
    # The one unverified request is the first: the agent has no certificate yet.
    warnings.filterwarnings("ignore", message="Unverified HTTPS request")
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    with tempfile.TemporaryDirectory() as root:
        server = Server(Path(sys.argv[1]).resolve(), Path(root))
        server.start()
        try:
            live(server)
        except BaseException:
            print(f"\nthe server's log:\n{server.log()}", flush=True)
            raise
        finally:
            server.kill()
    print("agent life: 1 passed, 0 failed")


if __name__ == "__main__":
    main()
