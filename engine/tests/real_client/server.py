"""The engine as a process, and HTTP to it over a pinned certificate."""

import http.client
import json
import os
import signal
import socket
import ssl
import subprocess
import time
from pathlib import Path

import requests
from requests.adapters import HTTPAdapter

START_PATIENCE = 60


# How agents of today and tomorrow verify: Python 3.11's default, the same with RFC 5280 to the letter, and the two flags
# that 3.13 sets.
VERIFICATIONS = {
    "default": 0,
    "strict": ssl.VERIFY_X509_STRICT,
    "strict, partial chain": ssl.VERIFY_X509_STRICT | ssl.VERIFY_X509_PARTIAL_CHAIN,
}


def pinned(certificate: str, flags: int = 0) -> ssl.SSLContext:
    """A context that trusts this certificate alone, as agents do; the host name is checked."""
    context = ssl.create_default_context(cadata=certificate)
    # What this Python adds by itself is taken away: the flags are those that are asked for.
    context.verify_flags &= ~(ssl.VERIFY_X509_STRICT | ssl.VERIFY_X509_PARTIAL_CHAIN)
    context.verify_flags |= flags
    if not context.check_hostname or context.verify_mode != ssl.CERT_REQUIRED:
        raise AssertionError("the context does not verify")
    return context


class PinnedAdapter(HTTPAdapter):
    """Lets a requests session use a context of our own."""

    def __init__(self, context: ssl.SSLContext):
        self.context = context
        super().__init__()

    def init_poolmanager(self, *arguments, **options):
        super().init_poolmanager(*arguments, ssl_context=self.context, **options)


def session(context: ssl.SSLContext) -> requests.Session:
    """An HTTP session that trusts what `context` trusts, and no proxy."""
    made = requests.Session()
    made.trust_env = False
    made.mount("https://", PinnedAdapter(context))
    return made


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


class Server:
    """The engine over one root folder, on one port through all its restarts."""

    def __init__(self, binary: Path, root: Path, variables: dict | None = None):
        self.binary = binary
        self.root = root
        self.variables = variables or {}
        self.port = free_port()
        self.url = f"https://localhost:{self.port}"
        self.process = None

    def environment(self) -> dict:
        return {
            "PATH": os.environ.get("PATH", ""),
            "BOREALIS_ROOT": str(self.root),
            "BOREALIS_PORT": str(self.port),
            "BOREALIS_TLS": "on",
            "BOREALIS_GITHUB_API_URL": "http://127.0.0.1:9",
            "BOREALIS_SECRET": "the secret of the tests",
        } | self.variables

    def start(self):
        self.launch()
        self.wait_until(self.answers, "the engine does not answer")

    def launch(self):
        self.process = subprocess.Popen([self.binary], env=self.environment(), stderr=subprocess.DEVNULL)

    def wait_until(self, condition, failure: str):
        """Waits for the server to come to a state; it must not end meanwhile."""
        end = time.monotonic() + START_PATIENCE
        while not condition():
            if self.process is not None and self.process.poll() is not None:
                raise RuntimeError(f"the engine ended with {self.process.returncode}")
            if time.monotonic() > end:
                raise RuntimeError(failure)
            time.sleep(0.02)

    def run(self, *arguments: str, code=0) -> str:
        """Runs one of the program's commands over the same root folder; its standard output."""
        done = subprocess.run(
            [self.binary, *arguments], env=self.environment(), capture_output=True, text=True, timeout=START_PATIENCE
        )
        if done.returncode != code:
            raise AssertionError(f"{arguments} ended with {done.returncode}: {done.stdout}{done.stderr}")
        return done.stdout

    def answers(self) -> bool:
        if self.url.startswith("http:"):
            connection = http.client.HTTPConnection("localhost", self.port, timeout=5)
        else:
            # Nothing is known of the certificate yet; that it is the right one is tested once it was given.
            unchecked = ssl._create_unverified_context()
            connection = http.client.HTTPSConnection("localhost", self.port, timeout=5, context=unchecked)
        try:
            connection.request("GET", "/health")
            answer = connection.getresponse()
            return answer.status == 200 and json.loads(answer.read())["status"] == "ok"
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()

    def stop(self):
        """Stops it as a service manager does; it must end in order."""
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(START_PATIENCE)
        self.process = None
        if code != 0:
            raise RuntimeError(f"the engine ended with {code}")

    def log(self) -> str:
        """The last lines of the server's log."""
        lines = self.log_path().read_text().splitlines()
        return "\n".join(lines[-40:])

    def log_count(self, text: str) -> int:
        """How often this stands in the whole log, whichever start wrote it."""
        return self.log_path().read_text().count(text)

    def log_path(self) -> Path:
        return Path(self.root, "Logs/Server/engine.log")

    def kill(self):
        if self.process is not None:
            self.process.kill()
            self.process.wait()
