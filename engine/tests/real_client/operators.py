"""Somebody at the web client: a session over pinned HTTPS, with or without a second factor."""

import base64
import hashlib
import hmac
import struct
import time

from agent import PATIENCE, Channel
from server import Server, pinned, session


def one_time_code(secret: str) -> str:
    """RFC 6238 as authenticator apps do it: SHA-1, 30 seconds, 6 digits."""
    key = base64.b32decode(secret)
    digest = hmac.digest(key, struct.pack(">Q", int(time.time()) // 30), hashlib.sha1)
    offset = digest[-1] & 0x0F
    number = struct.unpack(">I", digest[offset : offset + 4])[0] & 0x7FFFFFFF
    return f"{number % 1_000_000:06}"


class Operator:
    def __init__(self, server: Server, certificate: str, username="admin", password="Password"):
        self.server = server
        self.certificate = certificate
        self.http = session(pinned(certificate))
        answer = self.post("/api/auth/login", {"username": username, "password": password})
        if answer["status"] == "mfa_required":
            # At the first login the secret comes along, as a QR code for the app.
            code = one_time_code(answer["secret"])
            answer = self.post("/api/auth/mfa/verify", {"pending_token": answer["pending_token"], "code": code})
        self.token = answer["token"]

    def ask(self, method: str, path: str, body: dict | None = None):
        return self.http.request(method, self.server.url + path, json=body, timeout=PATIENCE)

    def post(self, path: str, body: dict) -> dict:
        answer = self.ask("POST", path, body)
        answer.raise_for_status()
        return answer.json()

    def get(self, path: str) -> dict:
        answer = self.ask("GET", path)
        answer.raise_for_status()
        return answer.json()

    def connect(self, transports: list[str]) -> Channel:
        cookie = f"borealis_auth={self.token}"
        # The library takes the cookie out of the headers it was given: it has to ask for them each time.
        return Channel(self.server, self.certificate, lambda: {"Cookie": cookie}, transports)

    def install_code(self) -> str:
        return self.post("/api/admin/enrollment-codes", {"ttl_hours": 1, "max_uses": 1})["code"]

    def approve_the_one_waiting(self):
        approval = self.get("/api/admin/device-approvals?status=pending")["approvals"][0]
        self.post(f"/api/admin/device-approvals/{approval['id']}/approve", {})
