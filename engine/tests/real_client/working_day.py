"""A working day of an operator and an agent against the release binary, over TLS, under the strict access policy.

    python working_day.py PATH/TO/borealis-engine

The same day with a schedule of every five minutes is `scenarios/access/working_day.yaml`, where the clock is the
scenario's. Here the clock is real, so each of the two runs is a job for the next full minute, and the day takes about
two of them. Ends with 0 when every step held; otherwise the step that failed stands last.
"""

import hashlib
import json
import time
from pathlib import Path

from agent import Agent, Channel
from operators import Operator
from server import Server
from story import equal, step, tell

# Work that is due starts with the next full minute.
NEXT_MINUTE = 75

SCRIPT = {
    "name": "Hello",
    "type": "powershell",
    "script": "Write-Output $env:WHO",
    "variables": [{"name": "WHO", "default": "world"}],
}


def place_script(server: Server):
    path = Path(server.root, "Assemblies/Scripts/hello.json")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(SCRIPT))


def arrive(server: Server) -> Operator:
    step("an account with a second factor; its first login gives the secret, a code ends it")
    bundle = Path(server.root, "Certificates/Server/borealis-server-bundle.pem").read_text()
    admin = Operator(server, bundle)
    password = hashlib.sha512(b"Olga's").hexdigest()
    admin.post("/api/users", {"username": "olga", "password_sha512": password, "role": "Admin"})
    admin.post("/api/users/olga/mfa", {"enabled": True})
    olga = Operator(server, bundle, "olga", "Olga's")
    equal(olga.get("/api/auth/me")["role"], "Admin")
    return olga


def enroll(server: Server, olga: Operator) -> Agent:
    step("an agent asks to join and is approved")
    agent = Agent(server, "WORKER")
    agent.request_enrollment(olga.install_code())
    equal(agent.poll()["status"], "pending")
    olga.approve_the_one_waiting()
    equal(agent.poll()["status"], "approved")
    return agent


def wait_for_result(viewer: Channel) -> int:
    """The activity of the next job that is told to be a success."""
    while True:
        change = viewer.inbox.take("device_activity_changed")
        if change.get("status") == "Success":
            return change["activity_id"]


def scheduled_run(olga: Operator, agent: Agent, channel: Channel, viewer: Channel, schedule: dict) -> int:
    """A job for the next full minute, with the stored credential; its id, once its one run is seen to be a success."""
    job = olga.post("/api/scheduled_jobs", {
        "name": "hello",
        "components": [{"type": "script", "path": "Scripts/hello.json", "variable_values": {"WHO": "everybody"}}],
        "targets": [agent.hostname],
        "schedule": schedule,
        "credential_id": 1,
        "use_service_account": False,
    })["job"]["id"]
    equal("everybody" in agent.run_script(channel, NEXT_MINUTE), True)
    wait_for_result(viewer)
    viewer.inbox.take("job_run_completed")
    equal([run["status"] for run in olga.get(f"/api/scheduled_jobs/{job}/runs")["runs"]], ["Success"])
    return job


def work(server: Server):
    place_script(server)
    olga = arrive(server)
    agent = enroll(server, olga)
    expired = {"from_now_on": False}

    def agent_headers():
        return agent.headers(agent.expired_token() if expired["from_now_on"] else None)

    step("it comes online")
    viewer = olga.connect(["polling", "websocket"])
    channel = agent.connect(["websocket"], agent_headers)
    agent.come_online(channel)
    equal(list(olga.get("/api/agents")), [agent.agent_id])
    step("a credential is stored and not shown")
    stored = olga.post("/api/credentials", {
        "name": "day work",
        "connection_type": "winrm",
        "username": "DOM\\worker",
        "password": "s3cret",
    })["credential"]
    equal((stored["id"], stored["has_password"], "s3cret" in json.dumps(stored)), (1, True, False))
    step("a script is run; its result arrives over the channel")
    started = olga.post("/api/scripts/quick_run", {
        "script_path": "Scripts/hello.json",
        "hostnames": [agent.hostname],
        "variable_values": {"WHO": "Olga"},
    })["results"]
    equal("Olga" in agent.run_script(channel), True)
    equal(wait_for_result(viewer), started[0]["job_id"])
    equal(olga.get(f"/api/device/activity/job/{started[0]['job_id']}")["stdout"], "done\n")
    step("it is scheduled; the first run comes with the next full minute")
    scheduled_run(olga, agent, channel, viewer, {"type": "immediately"})

    step("the server restarts; both channels come back, the agent's with an expired token")
    expired["from_now_on"] = True
    connections = [(one, one.connections) for one in (channel, viewer)]
    server.stop()
    server.start()
    for one, before in connections:
        one.wait_for_connection(before + 1)
    agent.come_online(channel)
    step("the second run")
    now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    scheduled_run(olga, agent, channel, viewer, {"type": "once", "start": now})
    history = olga.get(f"/api/device/activity/{agent.hostname}")["history"]
    equal([entry["status"] for entry in history], ["Success"] * 3)

    step("demoted by herself she is refused what admins may, and still an operator; logged out she is nobody")
    olga.post("/api/users/olga/role", {"role": "User"})
    for method, path in [("GET", "/api/credentials"), ("POST", "/api/admin/enrollment-codes"), ("GET", "/api/users")]:
        equal(olga.ask(method, path, {}).status_code, 403)
    equal(list(olga.get("/api/agents")), [agent.agent_id])
    olga.post("/api/auth/logout", {})
    equal(olga.ask("GET", "/api/agents").status_code, 401)
    for open_channel in (channel, viewer):
        open_channel.close()
    step("the server stops in order")
    server.stop()


if __name__ == "__main__":
    tell("working day", __doc__, work)
