"""`parity record` between the clients that agents and operators use, which speak TLS with it, and the engine; what was
recorded is replayed, and nothing differs.

    python recorded.py PATH/TO/borealis-engine PATH/TO/parity

Ends with 0 when every step held; otherwise the step that failed stands last.
"""

import socket
import subprocess
import sys
import tempfile
from pathlib import Path

from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from agent import PATIENCE, Agent
from operators import Operator
from server import Server, free_port, pinned, session
from story import equal, step, tell

SCENARIO = "realtime/recorded"
# A replay runs the engine with these.
VARIABLES = {"BOREALIS_SECRET": "borealis-dev-secret", "BOREALIS_ACCESS_POLICY": "legacy", "BOREALIS_TLS": "off"}


class Plain(Server):
    """The engine without TLS."""

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.url = f"http://localhost:{self.port}"


class Recorder:
    """`parity record` in front of a server, and the folders that it writes to."""

    def __init__(self, parity: Path, server: Server, agent: Agent, folder: Path):
        self.parity, self.folder = parity, folder
        self.authority = folder / "authority.pem"
        key = folder / "agent.key"
        key.write_bytes(agent.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        (folder / "scenarios").mkdir()
        (folder / "scenarios/divergences.toml").write_text("format = 2\n")
        port = free_port()
        self.process = self.start(
            "record", "--listen", f"127.0.0.1:{port}", "--tls", "--tls-ca-out", str(self.authority),
            # The program knows the machine's name, and puts it into its certificate; a replay has to be told.
            "--env", f"BOREALIS_TLS_NAMES={socket.gethostname()}",
            "--upstream", server.url, "--agent-key", f"agent1={key}", "--out", SCENARIO, "--title", "A real agent, recorded.",
            "--snapshots", str(folder / "snapshots"),
        )
        said = ""
        while "recording:" not in said:
            line = self.process.stderr.readline()
            if not line:
                raise RuntimeError(f"parity record ended: {said}")
            said += line
        server.url = f"https://localhost:{port}"

    def start(self, *arguments: str) -> subprocess.Popen:
        command = [self.parity, "--scenarios", str(self.folder / "scenarios"), *arguments]
        return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def end(self) -> str:
        self.process.terminate()
        out, err = self.process.communicate(timeout=PATIENCE)
        if self.process.returncode != 0:
            raise AssertionError(f"parity record ended with {self.process.returncode}: {out}{err}")
        return out

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()

    def replay(self):
        folder = self.folder
        run = self.start("run", SCENARIO, "--snapshots", str(folder / "snapshots"), "--report", str(folder / "report"))
        out, err = run.communicate(timeout=PATIENCE)
        if run.returncode != 0:
            report = (folder / "report/divergences.md").read_text()
            scenario = (folder / f"scenarios/{SCENARIO}.yaml").read_text()
            raise AssertionError(f"the replay ended with {run.returncode}: {out}{err}\n{report}\n{scenario}")


def show_screen(agent: Agent, channel, viewer):
    task = {"agent_id": agent.agent_id, "node_id": "n1", "image_base64": "QUJD" * 100, "timestamp": 1}
    channel.call("agent_screenshot_task", task)
    equal(viewer.inbox.take("agent_screenshot_task"), task)


def live(server: Server, recorder: Recorder, agent: Agent):
    authority = recorder.authority.read_text()
    step("an operator logs in and makes an install code; the agent asks to join")
    operator = Operator(server, authority)
    agent.request_enrollment(operator.install_code())
    step("the agent proves that it holds its key, is approved, and given its tokens")
    # Shipped agents pin the server's own certificate; through the proxy they have to trust its authority.
    agent.certificate = authority
    agent.http = session(pinned(authority))
    equal(agent.poll()["status"], "pending")
    operator.approve_the_one_waiting()
    equal(agent.poll()["status"], "approved")
    agent.refresh()
    step("the agent's channel over websocket, an operator's over polling, upgraded, and one that stays on polling")
    channel = agent.connect(["websocket"])
    agent.come_online(channel)
    viewer = operator.connect(["polling", "websocket"])
    equal(viewer.client.transport(), "websocket")
    poller = operator.connect(["polling"])
    show_screen(agent, channel, viewer)
    equal(poller.inbox.take("agent_screenshot_task")["node_id"], "n1")
    roles = [{"role": "screenshot", "node_id": "n1", "interval": 1000}]
    operator.post("/api/agent/provision", {"agent_id": agent.agent_id, "roles": roles})
    equal(channel.inbox.take("agent_config"), {"agent_id": agent.agent_id, "roles": roles})
    step("a quick run: the agent runs the script that it was sent, and says how it went")
    made = operator.post("/api/assembly/create", {
        "island": "scripts", "kind": "file", "path": "hello",
        "content": {"name": "hello", "type": "powershell", "script": "Write-Host ${env:USERNAME}"},
    })
    operator.post("/api/scripts/quick_run", {"script_path": f"Scripts/{made['rel_path']}", "hostnames": [agent.hostname]})
    agent.run_script(channel)
    viewer.inbox.take("device_activity_changed")
    for one in (poller, viewer, channel):
        one.close()


def story(server: Server):
    agent = Agent(server, "REAL-AGENT")
    with tempfile.TemporaryDirectory() as folder:
        with Recorder(Path(sys.argv[2]).resolve(), server, agent, Path(folder)) as recorder:
            live(server, recorder, agent)
            step("the recording ends with a scenario")
            out = recorder.end()
            if "agent1.proof" not in out:
                raise AssertionError(f"the agent's proof was not recognised: {out}")
        scenario = Path(folder, f"scenarios/{SCENARIO}.yaml").read_text()
        for secret in (agent.tokens["access_token"], agent.tokens["refresh_token"]):
            if secret in scenario:
                raise AssertionError("a token stands in the scenario")
        step("the scenario is replayed, and nothing differs")
        recorder.replay()


if __name__ == "__main__":
    tell("recorded", "usage: recorded.py ENGINE PARITY", story, Plain, VARIABLES)
