"""An operator in Chromium and an agent with python-socketio, recorded together through `parity record`; the recording is
replayed on the engine in parity and on the engine as a program, and a difference that is planted there is found.

    python recorded_browser.py PATH/TO/borealis-engine PATH/TO/parity

Needs `node`, Chromium (`CHROMIUM`, else /usr/bin/chromium) and the packages of `package.json` beside this file (`npm ci`).
Ends with 0 when every step held; otherwise the step that failed stands last.
"""

import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from agent import PATIENCE, Agent
from recorded import SCENARIO, VARIABLES, Plain, Recorder
from server import Server, pinned, session
from story import equal, step, tell

HERE = Path(__file__).parent
PLANTED = {"BOREALIS_COOKIE_SAMESITE": "Strict"}


class Browser:
    """`browser.mjs` as a process."""

    def __init__(self, url: str):
        self.process = subprocess.Popen(
            ["node", HERE / "browser.mjs", url], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=HERE
        )
        equal(self.process.stdout.readline(), "ready\n")

    def do(self, command: str, **rest):
        self.process.stdin.write(json.dumps({"command": command, **rest}) + "\n")
        self.process.stdin.flush()
        said = json.loads(self.process.stdout.readline() or '{"failure": "the browser ended"}')
        if "failure" in said:
            raise AssertionError(f"{command}: {said['failure']}")
        return said["answer"]

    def ask(self, method: str, path: str, body=None) -> dict:
        answer = self.do("ask", method=method, path=path, body=body)
        equal(answer["status"] // 100, 2)
        return answer["body"]

    def close(self):
        self.process.stdin.close()
        self.process.wait(PATIENCE)


class WithPage(Plain):
    """A server that has the page of `page/` to serve."""

    def launch(self):
        folder = Path(self.root, "Data/Server/web-interface/build")
        assets = folder / "assets"
        assets.mkdir(parents=True, exist_ok=True)
        shutil.copy(HERE / "page/index.html", folder)
        shutil.copy(HERE / "page/page.js", assets)
        shutil.copy(HERE / "node_modules/socket.io-client/dist/socket.io.min.js", assets)
        super().launch()


def live(server: Server, recorder: Recorder, agent: Agent):
    browser = Browser(server.url)
    try:
        step("the page and its channel, which upgrades; a login by the form; an install code")
        browser.do("open")
        browser.do("login", username="admin", password="Password")
        code = browser.ask("POST", "/api/admin/enrollment-codes", {"ttl_hours": 1, "max_uses": 1})["code"]
        step("an agent joins, the operator approves it, and the list has it")
        authority = recorder.authority.read_text()
        agent.request_enrollment(code)
        agent.certificate = authority
        agent.http = session(pinned(authority))
        equal(agent.poll()["status"], "pending")
        waiting = browser.ask("GET", "/api/admin/device-approvals?status=pending")["approvals"][0]
        browser.ask("POST", f"/api/admin/device-approvals/{waiting['id']}/approve", {})
        equal(agent.poll()["status"], "approved")
        channel = agent.connect(["websocket"])
        agent.come_online(channel)
        browser.do("watch", times=6)
        equal(browser.do("devices"), [agent.hostname])
        step("sites and a view are made, changed and deleted; a script is made and run")
        site = browser.ask("POST", "/api/sites", {"name": "Berlin", "description": "HQ"})["id"]
        browser.ask("POST", "/api/sites/assign", {"site_id": site, "hostnames": [agent.hostname]})
        browser.ask("POST", "/api/sites/rename", {"id": site, "new_name": "Bonn"})
        view = browser.ask("POST", "/api/device_list_views", {"name": "Mine", "columns": ["hostname"], "filters": {}})["id"]
        browser.ask("PUT", f"/api/device_list_views/{view}", {"columns": ["hostname", "site_name"]})
        browser.ask("DELETE", f"/api/device_list_views/{view}")
        content = {"name": "Hello", "type": "powershell", "script": "Write-Output 'hello'"}
        browser.ask("POST", "/api/assembly/create", {"island": "scripts", "kind": "file", "path": "hello", "content": content})
        browser.ask("POST", "/api/scripts/quick_run", {"script_path": "Scripts/hello.json", "hostnames": [agent.hostname]})
        agent.run_script(channel)
        browser.do("heard", event="device_activity_changed", times=2)
        browser.ask("GET", f"/api/device/activity/{agent.hostname}")
        browser.ask("POST", "/api/sites/delete", {"ids": [site]})
        browser.ask("POST", "/api/auth/logout")
        channel.close()
    finally:
        browser.close()


def replay(recorder: Recorder, name: str, engine: Path, variables: dict) -> tuple[int, dict]:
    """Replays it on the program with these variables too; what parity ends with, and its report."""
    targets = recorder.folder / f"{name}.toml"
    environment = {
        "BOREALIS_ROOT": "{root}", "BOREALIS_PORT": "{port}", "BOREALIS_GITHUB_API_URL": "{github}",
        **VARIABLES, **variables,
    }
    lines = "\n".join(f'{key} = "{value}"' for key, value in environment.items())
    targets.write_text(
        f'format = 1\n[targets.program]\ncommand = ["{engine}"]\ndirectory = "{{root}}"\n'
        f'ready = {{ path = "/health", within_seconds = 60 }}\nstop = {{ signal = "TERM", within_seconds = 15 }}\n'
        f'database = "database.db"\nsecret = "BOREALIS_SECRET"\n[targets.program.environment]\n{lines}\n'
    )
    report = recorder.folder / name
    run = recorder.start(
        "run", SCENARIO, "--parity-toml", str(targets), "--engine", "program",
        "--snapshots", str(recorder.folder / "snapshots"), "--report", str(report),
    )
    out, err = run.communicate(timeout=PATIENCE)
    if not (report / "report.json").is_file():
        raise AssertionError(f"the replay ended with {run.returncode}: {out}{err}")
    return run.returncode, json.loads((report / "report.json").read_text())


def story(server: Server):
    agent = Agent(server, "REAL-AGENT")
    with tempfile.TemporaryDirectory() as folder:
        with Recorder(Path(sys.argv[2]).resolve(), server, agent, Path(folder)) as recorder:
            live(server, recorder, agent)
            step("the recording ends with a scenario, without the web client's files, the list that was watched written once")
            out = recorder.end()
            for told in ("--keep-pages writes it", "GET /api/devices ("):
                if told not in out:
                    raise AssertionError(f"{told!r} is not told: {out}")
        step("replayed in parity and on the program: nothing differs")
        recorder.replay()
        code, report = replay(recorder, "same", server.binary, {})
        equal((code, [verdict["different"] for verdict in report["judgement"]["verdicts"]]), (0, [[]]))
        step("with another attribute on its cookies: that is found, and nothing else")
        code, report = replay(recorder, "planted", server.binary, PLANTED)
        verdict = report["judgement"]["verdicts"][0]
        found = {(verdict["steps"][str(one["step"])], one["path"]) for one in verdict["different"]}
        is_attribute = all("/headers/set-cookie/" in path and "/attributes/" in path for _, path in found)
        equal((code, len(found), is_attribute), (1, 3, True))


if __name__ == "__main__":
    tell("recorded browser", __doc__, story, WithPage, VARIABLES)
