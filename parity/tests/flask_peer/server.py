"""A small server of the tests' own on the legacy's stack (Flask, Flask-SocketIO, eventlet), in the legacy's way: login,
enrollment, heartbeats, refreshed tokens, one list, which it streams, and the relay of screenshots. It keeps everything in
memory.

    python server.py PORT
"""

import eventlet

eventlet.monkey_patch()

import base64
import hashlib
import json
import secrets
import sys
import time
import uuid
from datetime import datetime, timedelta, timezone

import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_der_public_key
from flask import Flask, Response, abort, jsonify, request, session
from flask_socketio import SocketIO
from itsdangerous import URLSafeTimedSerializer

SECRET = "borealis-dev-secret"
PASSWORD = hashlib.sha512(b"Password").hexdigest()
LIFETIME = 900

app = Flask(__name__, static_folder=None)
app.secret_key = SECRET
app.config["SESSION_COOKIE_SAMESITE"] = "Lax"
sockets = SocketIO(app, async_mode="eventlet", cors_allowed_origins="*", ping_interval=25, ping_timeout=20)
key = Ed25519PrivateKey.generate()
KID = secrets.token_hex(8)
codes, approvals, devices = {}, {}, {}


def now() -> datetime:
    return datetime.now(timezone.utc)


def admin():
    """Nothing where an administrator calls, else the refusal."""
    return None if session.get("role") == "Admin" else (jsonify(error="unauthorized"), 401)


@app.get("/health")
def health():
    return jsonify(status="ok")


@app.get("/api/server/time")
def server_time():
    return jsonify(epoch=int(time.time()), utc_iso=now().isoformat().replace("+00:00", "Z"))


@app.get("/", defaults={"path": ""})
@app.get("/<path:path>")
def page(path):
    abort(404)


@app.post("/api/auth/login")
def login():
    body = request.get_json(silent=True) or {}
    name, password = body.get("username", ""), body.get("password", "")
    if name != "admin" or hashlib.sha512(password.encode()).hexdigest() != PASSWORD:
        return jsonify(error="invalid username or password"), 401
    session["username"], session["role"] = "admin", "Admin"
    token = URLSafeTimedSerializer(SECRET, salt="borealis-auth").dumps({"u": "admin", "r": "Admin", "ts": int(time.time())})
    answer = jsonify(role="Admin", status="ok", token=token, username="admin")
    answer.set_cookie("borealis_auth", token, samesite="Lax", path="/")
    return answer


@app.get("/api/auth/me")
def me():
    if "username" not in session:
        return jsonify(error="unauthorized"), 401
    return jsonify(display_name="Administrator", role="Admin", username="admin")


@app.post("/api/admin/enrollment-codes")
def make_code():
    if (refused := admin()) is not None:
        return refused
    body = request.get_json(force=True, silent=True) or {}
    raw = secrets.token_hex(16).upper()
    code = "-".join(raw[at : at + 4] for at in range(0, 32, 4))
    made = {
        "code": code,
        "expires_at": (now() + timedelta(hours=body.get("ttl_hours", 6))).isoformat(),
        "id": str(uuid.uuid4()),
        "last_used_at": None,
        "max_uses": body.get("max_uses", 2),
        "use_count": 0,
    }
    codes[code] = made
    return jsonify(made)


@app.post("/api/agent/enroll/request")
def enroll():
    body = request.get_json(force=True, silent=True) or {}
    code = codes.get(body.get("enrollment_code"))
    if code is None:
        return jsonify(error="invalid_enrollment_code"), 400
    der = base64.b64decode(body["agent_pubkey"])
    one = {
        "approval_reference": str(uuid.uuid4()),
        "id": str(uuid.uuid4()),
        "hostname": body["hostname"],
        "fingerprint": hashlib.sha256(der).hexdigest(),
        "key": load_der_public_key(der),
        "client_nonce": body["client_nonce"],
        "server_nonce": base64.b64encode(secrets.token_bytes(32)).decode(),
        "code": code["id"],
        "status": "pending",
        "at": now().isoformat(),
    }
    approvals[one["approval_reference"]] = one
    return jsonify(
        approval_reference=one["approval_reference"],
        poll_after_ms=3000,
        server_nonce=one["server_nonce"],
        status="pending",
    )


@app.get("/api/admin/device-approvals")
def list_approvals():
    if (refused := admin()) is not None:
        return refused
    wanted = request.args.get("status", "pending")
    rows = [
        {
            "alternate_hostname": None,
            "approval_reference": one["approval_reference"],
            "approved_by_user_id": None,
            "approved_by_username": None,
            "client_nonce": one["client_nonce"],
            "conflict_requires_prompt": False,
            "created_at": one["at"],
            "enrollment_code_id": one["code"],
            "fingerprint_match": False,
            "guid": None,
            "hostname_claimed": one["hostname"],
            "hostname_conflict": None,
            "id": one["id"],
            "server_nonce": one["server_nonce"],
            "ssl_key_fingerprint_claimed": one["fingerprint"],
            "status": one["status"],
            "updated_at": one["at"],
        }
        for one in approvals.values()
        if one["status"] == wanted
    ]

    def pieces():
        # As a generator, so that the answer has no length and goes out in chunks.
        text = json.dumps({"approvals": rows}, sort_keys=True, separators=(",", ":")) + "\n"
        for at in range(0, len(text), 100):
            yield text[at : at + 100]
            eventlet.sleep(0)

    return Response(pieces(), content_type="application/json")


@app.post("/api/admin/device-approvals/<id>/approve")
def approve(id):
    if (refused := admin()) is not None:
        return refused
    for one in approvals.values():
        if one["id"] == id and one["status"] == "pending":
            one["status"] = "approved"
            return jsonify(status="approved")
    return jsonify(error="not_found"), 404


@app.post("/api/agent/enroll/poll")
def poll():
    body = request.get_json(force=True, silent=True) or {}
    one = approvals[body["approval_reference"]]
    message = (
        base64.b64decode(one["server_nonce"])
        + one["approval_reference"].encode()
        + base64.b64decode(one["client_nonce"])
    )
    one["key"].verify(base64.b64decode(body["proof_sig"]), message)
    if one["status"] != "approved":
        return jsonify(poll_after_ms=5000, status="pending")
    guid = str(uuid.uuid4()).upper()
    refresh_token = secrets.token_urlsafe(48)
    devices[guid] = {"fingerprint": one["fingerprint"], "refresh_token": refresh_token}
    return jsonify(
        access_token=access_token(guid),
        expires_in=LIFETIME,
        guid=guid,
        refresh_token=refresh_token,
        status="approved",
        token_type="Bearer",
    )


def access_token(guid: str) -> str:
    at = int(time.time())
    claims = {
        "sub": f"device:{guid}",
        "guid": guid,
        "ssl_key_fingerprint": devices[guid]["fingerprint"],
        "token_version": 1,
        "iat": at,
        "nbf": at,
        "exp": at + LIFETIME,
    }
    return jwt.encode(claims, key, algorithm="EdDSA", headers={"kid": KID})


@app.post("/api/agent/token/refresh")
def refresh():
    body = request.get_json(force=True, silent=True) or {}
    device = devices.get(body.get("guid"))
    if device is None or device["refresh_token"] != body.get("refresh_token"):
        return jsonify(error="invalid_refresh_token"), 401
    proof = request.headers.get("DPoP", "")
    if proof:
        try:
            jwt.get_unverified_header(proof)
        except jwt.InvalidTokenError:
            return jsonify(error="dpop_invalid"), 400
        # The legacy's library lacks the function that names the key of a proof that holds.
        abort(500)
    return jsonify(access_token=access_token(body["guid"]), expires_in=LIFETIME, token_type="Bearer")


@app.post("/api/agent/heartbeat")
def heartbeat():
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    if scheme != "Bearer" or not token:
        return jsonify(error="missing_authorization"), 401
    try:
        jwt.decode(token, key.public_key(), algorithms=["EdDSA"])
    except jwt.InvalidTokenError:
        return jsonify(error="invalid_token"), 401
    return jsonify(poll_after_ms=15000, status="ok")


@sockets.on("screenshot")
def screenshot(data=None):
    if isinstance(data, dict) and data.get("agent_id") and data.get("image_base64"):
        sockets.emit("new_screenshot", {"agent_id": data["agent_id"], "image_base64": data["image_base64"]})


if __name__ == "__main__":
    sockets.run(app, host="127.0.0.1", port=int(sys.argv[1]))
