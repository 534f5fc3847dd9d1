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

START_PATIENCE = 30


def pinned(certificate: str) -> ssl.SSLContext:
    """A context that trusts this certificate alone, as agents do.

    It is no root certificate (its issuer is not its subject), hence the partial chain.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(cadata=certificate)
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
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


class Server:
    """The engine over one root folder, on one port through all its restarts."""

    def __init__(self, binary: Path, root: Path):
        self.binary = binary
        self.root = root
        with socket.socket() as listener:
            listener.bind(("127.0.0.1", 0))
            self.port = listener.getsockname()[1]
        self.url = f"https://localhost:{self.port}"
        self.process = None

    def start(self):
        environment = {
            "PATH": os.environ.get("PATH", ""),
            "BOREALIS_ROOT": str(self.root),
            "BOREALIS_PORT": str(self.port),
            "BOREALIS_TLS": "on",
            "BOREALIS_GITHUB_API_URL": "http://127.0.0.1:9",
        }
        self.process = subprocess.Popen([self.binary], env=environment, stderr=subprocess.DEVNULL)
        end = time.monotonic() + START_PATIENCE
        while not self.answers():
            if self.process.poll() is not None:
                raise RuntimeError(f"the engine ended with {self.process.returncode}")
            if time.monotonic() > end:
                raise RuntimeError("the engine does not answer")
            time.sleep(0.02)

    def answers(self) -> bool:
        # Nothing is known of the certificate yet; that it is the right one is tested once it was given.
        unchecked = ssl._create_unverified_context()
        connection = http.client.HTTPSConnection("localhost", self.port, timeout=5, context=unchecked)
        try:
            connection.request("GET", "/health")
            return json.loads(connection.getresponse().read())["status"] == "ok"
        except OSError:
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
        lines = Path(self.root, "Logs/Server/engine.log").read_text().splitlines()
        return "\n".join(lines[-40:])

    def kill(self):
        if self.process is not None:
            self.process.kill()
            self.process.wait()
