"""Playbooks that the server runs itself, with the real Ansible, against the release binary under the strict policy.

    python playbooks.py PATH/TO/borealis-engine FOLDER/OF/ansible-playbook

The server's inventory says `ssh`, so an `ssh` that runs the command on this machine, and an `sftp` that copies, stand in
PATH before the real ones: everything else (server, inventory, values, Ansible and its SSH plugin) is what production has.
Work that is due starts with the next full minute, so this takes about four of them. Ends with 0 when every step held;
otherwise the step that failed stands last.
"""

import getpass
import json
import os
import sqlite3
import sys
import tempfile
import time
from pathlib import Path

from agent import Agent
from operators import Operator
from server import Server
from story import equal, step, tell

# Until the next full minute, and then for Ansible to come to its end on a busy machine.
PATIENCE = 180
SECRET = "the signing secret of this story"

SSH = f"""#!{sys.executable}
import os, sys
os.execv("/bin/sh", ["sh", "-c", sys.argv[-1]])
"""
SFTP = f"""#!{sys.executable}
import shlex, shutil, sys
for line in sys.stdin:
    words = shlex.split(line)
    if words and words[0] in ("put", "get"):
        shutil.copy(words[1], words[2])
"""

# Which Python runs the modules is the playbook's to say, here as for operators.
HEAD = f"""
- hosts: all
  gather_facts: false
  vars: {{ansible_python_interpreter: "{sys.executable}"}}
"""
BENIGN = HEAD + """
  tasks:
    - command: "echo {{ greeting | quote }}"
      register: said
    - debug: {msg: "said {{ said.stdout }} to {{ ansible_host }} {{ inventory_hostname }}"}
    - debug: {msg: "{{ lookup('pipe', 'env') }}"}
"""
# Writes down its own number, and that of a child in a session of its own.
LASTING = HEAD + """
  tasks:
    - shell: "setsid sh -c 'echo $$ > %(folder)s/child; exec sleep 600' & echo $$ > %(folder)s/parent; exec sleep 600"
"""


class Story:
    def __init__(self, server: Server, scratch: Path):
        self.server = server
        self.scratch = scratch
        self.runs_folder = Path(server.root, "Data/Engine/playbook_runs")
        playbooks = Path(server.root, "Assemblies/Ansible_Playbooks")
        playbooks.mkdir(parents=True, exist_ok=True)
        (playbooks / "benign.yml").write_text(BENIGN)
        for name, limit in [("limited", 30), ("lasting", 3600), ("stopped", 3600)]:
            (scratch / name).mkdir()
            text = LASTING % {"folder": scratch / name}
            document = {"name": name, "type": "ansible", "script": text, "timeout_seconds": limit}
            (playbooks / f"{name}.json").write_text(json.dumps(document))
        self.log_in()
        self.credential = self.admin.post("/api/credentials", {
            "name": "over ssh",
            "connection_type": "ssh",
            "username": getpass.getuser(),
            "private_key": "THE PRIVATE KEY",
        })["credential"]["id"]

    def log_in(self):
        bundle = Path(self.server.root, "Certificates/Server/borealis-server-bundle.pem").read_text()
        self.admin = Operator(self.server, bundle)

    def sql(self, statement: str, *values) -> list:
        """What another server, or an older one, has left in the database."""
        with sqlite3.connect(Path(self.server.root, "database.db"), timeout=15) as database:
            return database.execute(statement, values).fetchall()

    def device(self, hostname: str) -> tuple[Agent, object]:
        agent = Agent(self.server, hostname)
        agent.request_enrollment(self.admin.install_code())
        equal(agent.poll()["status"], "pending")
        self.admin.approve_the_one_waiting()
        equal(agent.poll()["status"], "approved")
        return agent

    def online(self, agent: Agent):
        channel = agent.connect(["websocket"], agent.headers)
        channel.call("connect_agent", {"agent_id": agent.agent_id, "service_mode": "system"})
        return channel

    def job(self, path: str, target: str, values: dict | None = None) -> int:
        return self.admin.post("/api/scheduled_jobs", {
            "name": path,
            "components": [{"type": "ansible", "path": path, "variable_values": values or {}}],
            "targets": [target],
            "schedule": {"type": "immediately"},
            "execution_context": "ssh",
            "credential_id": self.credential,
        })["job"]["id"]

    def wait_for(self, job: int, *words: str) -> dict:
        """The job's one run, once it has one of these states."""
        end = time.monotonic() + PATIENCE
        while True:
            runs = self.admin.get(f"/api/scheduled_jobs/{job}/runs")["runs"]
            equal(len(runs) <= 1, True)
            if runs and runs[0]["status"] in words:
                return runs[0]
            if time.monotonic() > end:
                raise AssertionError(f"job {job} does not come to {words}: {runs}")
            time.sleep(0.2)

    def ended(self, job: int, wanted: str) -> tuple[str, str]:
        """How the job's run ended: its reason, and what it printed."""
        run = self.wait_for(job, "Success", "Failed", "Timed Out")
        activities = self.admin.get(f"/api/scheduled_jobs/{job}/devices")["devices"][0]["activities"]
        output = ""
        if activities:
            activity = self.admin.get(f"/api/device/activity/job/{activities[0]['activity_id']}")
            output = activity["stdout"]
            equal(activity["status"], run["status"])
        if run["status"] != wanted:
            raise AssertionError(f"job {job} is {run['status']}, not {wanted}: {run['error']}\n{output}")
        return run["error"], output

    def processes(self, name: str) -> list[int]:
        """The numbers that a lasting playbook's processes wrote down, once they have."""
        files = [self.scratch / name / part for part in ("parent", "child")]
        wait_until(lambda: all(file.exists() and file.read_text().strip() for file in files), f"{name} does not begin")
        return [int(file.read_text()) for file in files]


def wait_until(condition, failure: str):
    end = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > end:
            raise AssertionError(failure)
        time.sleep(0.1)


def lives(process: int) -> bool:
    try:
        stat = Path(f"/proc/{process}/stat").read_text()
    except OSError:
        return False
    return stat.rsplit(")", 1)[1].split()[0] != "Z"


def run(server: Server):
    story = Story(server, Path(server.variables["HOME"]))
    owned = story.scratch / "owned"

    def template(number: int) -> str:
        return "{{ lookup('pipe', 'touch %s-%d') }}" % (owned, number)

    step("two devices come online; one of them was named by somebody who knows Ansible")
    target, second = story.device("TARGET"), story.device("SECOND")
    story.sql("UPDATE devices SET hostname = ? WHERE guid = ?", template(1), second.tokens["guid"])
    channels = [story.online(target), story.online(second)]

    step("names that tell Ansible how to run are refused")
    body = {
        "name": "local", "targets": ["TARGET"], "execution_context": "ssh", "credential_id": story.credential,
        "components": [{"type": "ansible", "path": "benign.yml", "variable_values": {"ansible_connection": "local"}}],
    }
    refused = story.admin.ask("POST", "/api/scheduled_jobs", body)
    expected = (400, {"error": "variable_not_allowed", "name": "ansible_connection"})
    equal((refused.status_code, refused.json()), expected)

    step("jobs: one that is benign, one with hostile values, one on the device with the hostile name, one that lasts")
    benign = story.job("benign.yml", "TARGET", {"greeting": "good morning"})
    hostile = story.job("benign.yml", "TARGET", {"greeting": template(2), "deep": [{template(3): template(4)}]})
    named = story.job("benign.yml", template(1), {"greeting": "hello"})
    limited = story.job("limited.json", "TARGET")
    step("and one that an older server let through")
    stored = story.job("benign.yml", "TARGET", {"greeting": "x"})
    components = [dict(body["components"][0], variable_values={"greeting": "x", "ansible_connection": "local"})]
    story.sql("UPDATE scheduled_jobs SET components_json = ? WHERE id = ?", json.dumps(components), stored)

    step("the benign one succeeds with ansible-core alone, and its output is there")
    _, output = story.ended(benign, "Success")
    equal("said good morning to TARGET TARGET" in output, True)
    step("nothing of the server's own is in its environment")
    equal((SECRET in output, "BOREALIS" in output, "PATH=" in output), (False, False, True))
    step("hostile values and names are printed, and do nothing")
    for job, text in [(hostile, template(2)), (named, template(1))]:
        _, output = story.ended(job, "Success")
        # Shown as YAML, whose quotes double those of the text.
        equal(text in output.replace("''", "'").replace("\n        ", " "), True)
    equal(list(story.scratch.glob("owned*")), [])
    step("the one that was let through fails with the reason")
    reason, _ = story.ended(stored, "Failed")
    equal("ansible_connection is not allowed" in reason, True)
    step("the one that lasts is ended in time, with all that it started")
    processes = story.processes("limited")
    reason, _ = story.ended(limited, "Failed")
    equal(reason, "ansible-playbook was ended after 30 s")
    wait_until(lambda: not any(map(lives, processes)), "a process outlives its time")
    equal(list(story.runs_folder.iterdir()), [])

    step("a stop ends what runs, and says so")
    job = story.job("stopped.json", "TARGET")
    processes = story.processes("stopped")
    equal(story.wait_for(job, "Running")["status"], "Running")
    equal((story.runs_folder.stat().st_mode & 0o777, len(list(story.runs_folder.iterdir()))), (0o700, 1))
    server.stop()
    wait_until(lambda: not any(map(lives, processes)), "a process outlives the server")
    rows = story.sql("SELECT status, error FROM scheduled_job_runs WHERE job_id = ?", job)
    equal(rows, [("Failed", "The server was stopped during the run")])
    equal(list(story.runs_folder.iterdir()), [])

    step("after a kill the next start removes what was left behind, and ends the run")
    server.start()
    story.log_in()
    channels[0].wait_for_connection(2)
    channels[0].call("connect_agent", {"agent_id": target.agent_id, "service_mode": "system"})
    job = story.job("lasting.json", "TARGET")
    processes = story.processes("lasting")
    equal(story.wait_for(job, "Running")["status"], "Running")
    server.kill()
    try:
        left = {file.name for folder in story.runs_folder.iterdir() for file in folder.iterdir()}
        equal({"inventory.yml", "ssh_key"} <= left, True)
        server.start()
        equal(list(story.runs_folder.iterdir()), [])
        story.log_in()
        equal(story.wait_for(job, "Failed")["error"], "The server was stopped during the run")
    finally:
        for process in filter(lives, processes):
            os.kill(process, 9)
    for channel in channels:
        channel.close()
    server.stop()


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    with tempfile.TemporaryDirectory() as home, tempfile.TemporaryDirectory() as programs:
        for name, text in [("ssh", SSH), ("sftp", SFTP)]:
            Path(programs, name).write_text(text)
            Path(programs, name).chmod(0o755)
        path = os.pathsep.join([programs, str(Path(sys.argv[2]).resolve()), os.environ["PATH"]])
        tell("playbooks", __doc__, run, variables={
            "PATH": path,
            "HOME": home,
            "BOREALIS_FLASK_SECRET_KEY": SECRET,
        })
