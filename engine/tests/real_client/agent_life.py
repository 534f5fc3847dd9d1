"""A whole agent life against the release binary, over TLS with the certificate that enrollment gave.

    python agent_life.py PATH/TO/borealis-engine [behind-nginx]

With `behind-nginx` there is an nginx in front of the server, with the configuration of `engine/docs/nginx.conf`. Agents
verify the certificate as Python 3.11 does by default, host name included. Ends with 0 when every step held; otherwise the step that failed stands last.
"""

import sys
from pathlib import Path

from agent import Agent, Channel
from operators import Operator
from nginx import BehindNginx
from server import Server
from story import equal, step, tell


def enroll(server: Server) -> tuple[Agent, Operator]:
    step("an operator makes an install code; the agent asks to join and is given the certificate")
    bundle = Path(server.root, "Certificates/Server/borealis-server-bundle.pem").read_text()
    operator = Operator(server, bundle)
    agent = Agent(server, "REAL-AGENT")
    agent.request_enrollment(operator.install_code())
    equal(agent.certificate, bundle)
    step("pending, approved, tokens given")
    equal(agent.poll()["status"], "pending")
    operator.approve_the_one_waiting()
    equal(agent.poll()["status"], "approved")
    return agent, operator


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
    agent.come_online(channel)
    step("an operator's channel over polling, upgraded to websocket")
    viewer = operator.connect(["polling", "websocket"])
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
    agent.come_online(second)
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
    agent.come_online(channel)
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


if __name__ == "__main__":
    if sys.argv[2:] == ["behind-nginx"]:
        tell("agent life behind nginx", __doc__, live, BehindNginx)
    else:
        tell("agent life", __doc__, live)
