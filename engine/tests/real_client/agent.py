"""What an agent does, as shipped agents do it: enrollment by key, pinned HTTPS, a Socket.IO channel."""

import base64
import hashlib
import json
import threading
from pathlib import Path

import requests
import socketio
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_der_public_key,
    load_pem_private_key,
)

from server import Server, pinned, session

PATIENCE = 60
CONTEXT_HEADER = "X-Borealis-Agent-Context"


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def unpadded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


class Inbox:
    """What a channel received, event by event, in order."""

    def __init__(self, client: socketio.Client):
        self.arrived = threading.Condition()
        self.events = []
        client.on("*", self.add)

    def add(self, event, *data):
        with self.arrived:
            self.events.append((event, data[0] if data else None))
            self.arrived.notify_all()

    def take(self, event: str, patience=PATIENCE):
        """The next event of this name; those before it are dropped."""
        def place():
            return next((i for i, (name, _) in enumerate(self.events) if name == event), None)
        with self.arrived:
            if not self.arrived.wait_for(lambda: place() is not None, patience):
                raise AssertionError(f"no {event} came; got {[name for name, _ in self.events]}")
            found = place()
            data = self.events[found][1]
            del self.events[: found + 1]
            return data


class Channel:
    """A Socket.IO connection that comes back by itself, with `headers` asked anew each time."""

    def __init__(self, server: Server, certificate: str, headers, transports: list[str], flags=0):
        context = pinned(certificate, flags)
        self.connections = 0
        self.changed = threading.Condition()
        self.client = socketio.Client(
            http_session=session(context),
            websocket_extra_options={"sslopt": {"context": context}},
            reconnection_delay=0.1,
            reconnection_delay_max=0.2,
        )
        self.client.on("connect", self.count)
        self.inbox = Inbox(self.client)
        self.client.connect(server.url, headers=headers, transports=transports, wait_timeout=PATIENCE)

    def count(self):
        with self.changed:
            self.connections += 1
            self.changed.notify_all()

    def wait_for_connection(self, number: int):
        with self.changed:
            if not self.changed.wait_for(lambda: self.connections >= number, PATIENCE):
                raise AssertionError(f"connection {number} was not made")

    def call(self, event: str, data):
        """Emits and waits for the acknowledgement."""
        return self.client.call(event, data, timeout=PATIENCE)

    def close(self):
        self.client.disconnect()


class Agent:
    """A machine that wants to be managed."""

    def __init__(self, server: Server, hostname: str):
        self.server = server
        self.hostname = hostname
        self.key = Ed25519PrivateKey.from_private_bytes(hashlib.sha256(hostname.encode()).digest())
        self.nonce = hashlib.sha256(b"nonce:" + hostname.encode()).digest()
        self.http = None
        self.reference = None
        self.server_nonce = None
        self.signing_key = None
        self.certificate = None
        self.tokens = None

    def request_enrollment(self, code: str):
        """Asks to join. The certificate in the answer is the one that everything after this trusts."""
        public = self.key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        answer = requests.post(
            f"{self.server.url}/api/agent/enroll/request",
            json={
                "hostname": self.hostname,
                "enrollment_code": code,
                "agent_pubkey": b64(public),
                "client_nonce": b64(self.nonce),
            },
            headers={CONTEXT_HEADER: "SYSTEM"},
            verify=False,
            timeout=PATIENCE,
        )
        answer.raise_for_status()
        body = answer.json()
        self.reference, self.server_nonce = body["approval_reference"], body["server_nonce"]
        self.certificate = body["server_certificate"]
        self.signing_key = body["signing_key"]
        self.http = session(pinned(self.certificate))

    def poll(self) -> dict:
        message = base64.b64decode(self.server_nonce) + self.reference.encode() + self.nonce
        answer = self.post("/api/agent/enroll/poll", {
            "approval_reference": self.reference,
            "client_nonce": b64(self.nonce),
            "proof_sig": b64(self.key.sign(message)),
        })
        if answer["status"] == "approved":
            self.tokens = answer
        return answer

    @property
    def agent_id(self) -> str:
        return f"{self.hostname}_{self.tokens['guid']}_SYSTEM"

    def headers(self, token: str | None = None) -> dict:
        token = token or self.tokens["access_token"]
        return {"Authorization": f"Bearer {token}", CONTEXT_HEADER: "SYSTEM"}

    def post(self, path: str, body: dict) -> dict:
        headers = self.headers() if self.tokens else {CONTEXT_HEADER: "SYSTEM"}
        answer = self.http.post(self.server.url + path, json=body, headers=headers, timeout=PATIENCE)
        answer.raise_for_status()
        return answer.json()

    def refresh(self):
        body = {"guid": self.tokens["guid"], "refresh_token": self.tokens["refresh_token"]}
        self.tokens["access_token"] = self.post("/api/agent/token/refresh", body)["access_token"]

    def expired_token(self) -> str:
        """The token this agent had an hour ago: signed with the root folder's own key."""
        key_file = Path(self.server.root, "Server/Borealis/auth_keys/borealis-jwt-ed25519.key")
        key = load_pem_private_key(key_file.read_bytes(), None)
        header, claims, _ = self.tokens["access_token"].split(".")
        claims = json.loads(base64.urlsafe_b64decode(claims + "=" * (-len(claims) % 4)))
        for name in ("iat", "nbf", "exp"):
            claims[name] -= 3600
        message = f"{header}.{unpadded(json.dumps(claims).encode())}"
        return f"{message}.{unpadded(key.sign(message.encode()))}"

    def connect(self, transports: list[str], token=None) -> Channel:
        headers = token if callable(token) else self.headers(token)
        return Channel(self.server, self.certificate, headers, transports)

    def come_online(self, channel: Channel):
        """What a shipped agent does each time its channel is up, in its order."""
        channel.call("connect_agent", {"agent_id": self.agent_id, "service_mode": "system"})
        self.post("/api/agent/heartbeat", {"hostname": self.hostname, "metrics": {"operating_system": "Debian 12"}})
        channel.call("request_config", {"agent_id": self.agent_id})
        account = self.post("/api/agent/checkin", {"agent_id": self.agent_id, "hostname": self.hostname})
        if account["agent_guid"] != self.tokens["guid"]:
            raise AssertionError(f"the service account is of {account['agent_guid']!r}")

    def run_script(self, channel: Channel, patience=PATIENCE) -> str:
        """Takes the next job as shipped agents do, checks who signed it and answers; what the script was."""
        job = channel.inbox.take("quick_job_run", patience)
        script = base64.b64decode(job["script_content"])
        key = load_der_public_key(base64.b64decode(self.signing_key))
        key.verify(base64.b64decode(job["signature"]), script)
        result = {"job_id": job["job_id"], "status": "Success", "stdout": "done\n", "stderr": ""}
        connections = channel.connections
        try:
            channel.call("quick_job_result", result)
        except socketio.exceptions.SocketIOError:
            # Now and then the client drops a TLS connection that one of its threads reads from while another writes.
            # What counts is that it comes back; an answer that was lost on a living connection is still a failure.
            channel.wait_for_connection(connections + 1)
            self.come_online(channel)
            channel.call("quick_job_result", result)
        return script.decode()
