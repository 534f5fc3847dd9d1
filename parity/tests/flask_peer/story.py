"""parity against a server on the legacy's own stack: what it reads there, and that it finds what differs and nothing else.

    python story.py PATH/TO/parity

Ends with 0 when every step held; otherwise the step that failed stands last.
"""

import json
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path

HERE = Path(__file__).resolve().parent
TOP = HERE.parents[2]
PATIENCE = 60

JOIN = "enrollment_and_heartbeat"
# Where the peer is another server than the engine, as scenario, step and path: its list has no length, because it is
# streamed, and it has no certificate and no key to sign scripts with.
DIFFERENCES = {
    (JOIN, "enroll agent1: pending", "/headers/content-length"),
    (JOIN, "enroll agent1: pending", "/headers/transfer-encoding"),
    (JOIN, "enroll agent1: pending", "/wire/headers"),
    (JOIN, "enroll agent1: request", "/body/server_certificate"),
    (JOIN, "enroll agent1: request", "/body/signing_key"),
    (JOIN, "enroll agent1: poll", "/body/server_certificate"),
    (JOIN, "enroll agent1: poll", "/body/signing_key"),
}



def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(f"{url}/health", timeout=5) as answer:
            return answer.status == 200
    except (OSError, urllib.error.URLError):
        return False


def run(parity: Path, *arguments: str) -> tuple[int, str, dict]:
    """What `parity run` ends with and says of the peer's own scenarios, and its report."""
    return run_of(parity, HERE / "scenarios", "--without-register", *arguments)


def run_of(parity: Path, scenarios: Path, *arguments: str) -> tuple[int, str, dict]:
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(
            [parity, "--scenarios", scenarios, "run", "--report", folder, *arguments],
            capture_output=True,
            text=True,
            timeout=600,
            cwd=TOP,
        )
        report = json.loads(Path(folder, "report.json").read_text())
        return done.returncode, done.stdout + done.stderr, report


def differences(report: dict) -> set:
    found = set()
    for verdict in report["judgement"]["verdicts"]:
        for one in verdict["different"]:
            found.add((verdict["scenario"].removeprefix("peer/"), verdict["steps"][str(one["step"])], one["path"]))
    return found


def same(report: dict) -> int:
    return sum(verdict["compared_steps"] for verdict in report["judgement"]["verdicts"])


def step(text: str):
    print(f"  {text}", flush=True)


def story(parity: Path, url: str):
    allowed = ("--allow-not-compared", "the peer's memory cannot be reached")

    step("the peer agrees with itself: nothing of what its stack does is taken for a difference")
    code, said, report = run(parity, "--legacy", url, "--engine", url, "--runs", "3", *allowed)
    if code != 0 or differences(report) or report["live"]["flaky"]:
        raise AssertionError(said)
    print(f"    {same(report)} steps, three times")

    step("asked twice it has no noise")
    code, said, report = run(parity, "--legacy", url, "--engine", url, "--legacy-twice", *allowed)
    if code != 0 or report["live"]["noise"]:
        raise AssertionError(said)

    step("against the engine it differs where it is another server, and nowhere else")
    code, said, report = run(parity, "--legacy", url, "--engine", "embedded", *allowed)
    found = differences(report)
    if code != 1 or found != DIFFERENCES:
        print(said)
        raise AssertionError(f"more: {sorted(found - DIFFERENCES)}\nless: {sorted(DIFFERENCES - found)}")

    step("the project's scenarios for servers that others use: the register expects what a live legacy does otherwise")
    staging = ("--legacy", url, "--engine", "embedded", *allowed)
    code, said, report = run_of(parity, TOP / "scenarios", "staging/rate_limits", *staging)
    if code != 0 or accepted(report) != {("one too many", "wrong-passwords-are-limited")}:
        raise AssertionError(f"{said}\n{accepted(report)}")
    # The peer knows less of devices than a server does, so not everything of this one is as it should be.
    code, said, report = run_of(parity, TOP / "scenarios", "staging/refresh", *staging)
    good = "refresh with a good proof"
    if (good, "good-proof-binds-the-refresh-token") not in accepted(report):
        raise AssertionError(f"{said}\n{accepted(report)}")
    [verdict] = report["judgement"]["verdicts"]
    wrong = [one for one in verdict["different"] if verdict["steps"][str(one["step"])].startswith("refresh")]
    if wrong or verdict["unmet"]:
        raise AssertionError(f"{said}\n{wrong}\n{verdict['unmet']}")

    step("two servers that both limit are told: the register expects a legacy that does not")
    with_register = [one for one in staging if one != url]
    with_register.insert(1, "embedded")
    code, said, report = run_of(parity, TOP / "scenarios", "staging/rate_limits", *with_register)
    unmet = {one["entry"] for verdict in report["judgement"]["verdicts"] for one in verdict["unmet"]}
    if code != 1 or "wrong-passwords-are-limited" not in unmet:
        raise AssertionError(f"{said}\n{unmet}")


def accepted(report: dict) -> set:
    """The steps that differ as the register expects, and the entries that expect it."""
    return {
        (verdict["steps"][str(one["step"])], entry)
        for verdict in report["judgement"]["verdicts"]
        for entry, one in verdict["accepted"]
        if verdict["steps"][str(one["step"])] not in ("asked", "heard", "left")
    }


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    parity, url = Path(sys.argv[1]).resolve(), f"http://127.0.0.1:{free_port()}"
    peer = subprocess.Popen([sys.executable, HERE / "server.py", url.rsplit(":", 1)[1]], stderr=subprocess.DEVNULL)
    try:
        end = time.monotonic() + PATIENCE
        while not answers(url):
            if peer.poll() is not None or time.monotonic() > end:
                raise RuntimeError("the peer does not answer")
            time.sleep(0.05)
        story(parity, url)
    finally:
        peer.kill()
        peer.wait()
    print("flask_peer: 1 passed, 0 failed")


if __name__ == "__main__":
    main()
