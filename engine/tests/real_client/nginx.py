"""The engine behind a real nginx, with the configuration that the documentation shows."""

import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path

from server import START_PATIENCE, Server, free_port

EXAMPLE = Path(__file__).parents[2] / "docs/nginx.conf"

WORKERS = 2

# What a configuration file has around the example.
AROUND = """
daemon off;
pid {folder}/nginx.pid;
error_log {folder}/error.log notice;
worker_processes {workers};
events {{ worker_connections 512; }}
http {{
    access_log {folder}/access.log;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    include {folder}/borealis.conf;
}}
"""


def replaced(text: str, old: str, new: str) -> str:
    """The example with one thing put in the place of another, which it has to hold."""
    if old not in text:
        raise AssertionError(f"the documented configuration has no {old!r}")
    return text.replace(old, new)


class BehindNginx(Server):
    """An engine that speaks HTTP on loopback, and nginx in front of it; nginx stays when the engine restarts."""

    def __init__(self, binary: Path, root: Path, variables: dict | None = None):
        super().__init__(binary, root, {"BOREALIS_TLS": "off"} | (variables or {}))
        self.inner_port = self.port
        self.port = free_port()
        self.url = f"https://localhost:{self.port}"
        self.nginx = None
        self.folder = Path(tempfile.mkdtemp(prefix="borealis-nginx-"))
        # nginx that is started as root works as another user, who has to reach its own folders here.
        self.folder.chmod(0o711)

    def environment(self) -> dict:
        return super().environment() | {"BOREALIS_PORT": str(self.inner_port)}

    def configuration(self) -> str:
        text = EXAMPLE.read_text()
        text = replaced(text, "127.0.0.1:5000;", f"127.0.0.1:{self.inner_port};")
        text = replaced(text, "listen 443 ssl;", f"listen 127.0.0.1:{self.port} ssl;")
        return replaced(text, "/srv/borealis/", f"{self.root}/")

    def start(self):
        self.launch()
        if self.nginx is None:
            self.wait_until(lambda: self.log_holds("bootstrap-complete"), "the engine does not start")
            (self.folder / "borealis.conf").write_text(self.configuration())
            (self.folder / "nginx.conf").write_text(AROUND.format(folder=self.folder, workers=WORKERS))
            program = shutil.which("nginx") or "/usr/sbin/nginx"
            command = [program, "-p", self.folder, "-c", self.folder / "nginx.conf"]
            self.nginx = subprocess.Popen(command, stderr=subprocess.DEVNULL)
        self.wait_until(self.answers, "nginx and the engine do not answer")

    def reload(self, change=lambda text: text):
        """nginx with the documented configuration, changed by `change`, in processes of its own from here on."""
        (self.folder / "borealis.conf").write_text(change(self.configuration()))
        before = self.log_count("exited with code 0")
        self.nginx.send_signal(signal.SIGHUP)
        gone = before + WORKERS
        self.wait_until(lambda: self.log_count("exited with code 0") >= gone, "nginx does not reload")
        self.wait_until(self.answers, "nginx does not answer after its reload")

    def log_count(self, text: str) -> int:
        return (self.folder / "error.log").read_text().count(text)

    def log_holds(self, text: str) -> bool:
        path = Path(self.root, "Logs/Server/engine.log")
        return path.is_file() and text in path.read_text()

    def log(self) -> str:
        path = self.folder / "error.log"
        lines = path.read_text().splitlines() if path.is_file() else []
        return super().log() + "\n\nnginx:\n" + "\n".join(lines[-40:])

    def kill(self):
        super().kill()
        if self.nginx is not None:
            self.nginx.terminate()
            try:
                self.nginx.wait(START_PATIENCE)
            except subprocess.TimeoutExpired:
                self.nginx.kill()
                self.nginx.wait()
        shutil.rmtree(self.folder, ignore_errors=True)
