"""The server's certificate from its first day through renewal and replacement, as agents and operators see it.

    python certificate_life.py PATH/TO/borealis-engine

Ends with 0 when every step held; otherwise the step that failed stands last.
"""

import json
import signal
import socket
import ssl
import subprocess
from datetime import datetime, timezone
from pathlib import Path

import requests
from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from agent import PATIENCE, Channel
from operators import Operator
from server import VERIFICATIONS, Server, pinned, session
from story import equal, step, tell


def folder(server: Server) -> Path:
    return Path(server.root, "Certificates/Server")


def bundle(server: Server) -> str:
    return (folder(server) / "borealis-server-bundle.pem").read_text()


def shown(server: Server, context: ssl.SSLContext | None = None, name="localhost") -> str:
    """The fingerprint of the certificate that the listener shows, as `certificate show` prints it."""
    context = context or ssl._create_unverified_context()
    with socket.create_connection(("127.0.0.1", server.port), PATIENCE) as plain:
        with context.wrap_socket(plain, server_hostname=name) as secure:
            certificate = ssl.DER_cert_to_PEM_cert(secure.getpeercert(binary_form=True))
    printed = subprocess.run(
        ["openssl", "x509", "-noout", "-fingerprint", "-sha256"],
        input=certificate, capture_output=True, text=True, check=True,
    ).stdout
    return printed.strip().split("=")[1]


def refuses(server: Server, context: ssl.SSLContext, name="localhost"):
    try:
        shown(server, context, name)
    except ssl.SSLCertVerificationError:
        return
    raise AssertionError(f"the certificate was accepted for {name}")


def verify_in_every_way(server: Server, certificate: str, headers=None):
    for name, flags in VERIFICATIONS.items():
        context = pinned(certificate, flags)
        for host in ("localhost", "127.0.0.1", "::1", "agents.example", "192.0.2.10"):
            shown(server, context, host)
        equal(session(context).get(f"{server.url}/health", timeout=PATIENCE).json(), {"status": "ok"})
        for transports in (["websocket"], ["polling"]):
            channel = Channel(server, certificate, headers or {}, transports, flags)
            equal(channel.client.connected, True)
            channel.close()
        refuses(server, context, "elsewhere.example")
        print(f"    {name}", flush=True)


def live(server: Server):
    first = bundle(server)
    step("Python verifies the pinned bundle in every way, for every name, and for no other")
    verify_in_every_way(server, first)
    step("openssl builds the chain, to the letter of RFC 5280")
    subprocess.run(
        ["openssl", "verify", "-x509_strict", "-purpose", "sslserver", "-verify_hostname", "agents.example",
         "-CAfile", folder(server) / "borealis-root-ca.pem", folder(server) / "borealis-server-cert.pem"],
        check=True, capture_output=True,
    )
    step("the legacy would keep the files: it loads the first certificate, looks at its end, and serves bundle and key")
    files = folder(server)
    certificate = x509.load_pem_x509_certificate((files / "borealis-server-cert.pem").read_bytes())
    equal(certificate.not_valid_after_utc > datetime.now(timezone.utc), True)
    load_pem_private_key((files / "borealis-server-key.pem").read_bytes(), None)
    ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(
        files / "borealis-server-bundle.pem", files / "borealis-server-key.pem")
    step("`certificate show` says what the listener shows")
    described = json.loads(server.run("certificate", "show", "--json"))
    equal(described["fingerprint_sha256"], shown(server))
    equal((described["agents_can_verify"], described["renewable"]), (True, True))

    step("renewed and taken up at SIGHUP, without a restart: who pins the old bundle goes on")
    operator = Operator(server, first)
    viewer = operator.connect(["websocket"])
    server.run("certificate", "renew")
    second = bundle(server)
    equal(second == first, False)
    before = described["fingerprint_sha256"]
    server.process.send_signal(signal.SIGHUP)
    server.wait_until(lambda: shown(server) != before, "the renewed certificate is not shown")
    verify_in_every_way(server, first)
    equal(operator.get("/api/auth/me")["username"], "admin")
    equal(viewer.connections, 1)
    viewer.close()

    step("a key that does not fit changes nothing, and is logged")
    key = folder(server) / "borealis-server-key.pem"
    good = key.read_text()
    current = shown(server)
    key.write_text((folder(server) / "borealis-root-ca-key.pem").read_text())
    server.process.send_signal(signal.SIGHUP)
    server.wait_until(lambda: "stays in use" in server.log(), "nothing is logged")
    equal(shown(server), current)
    equal("problem" in server.run("check", code=1), True)
    key.write_text(good)

    step("replaced: only with --yes where nobody can be asked, and with the old files set aside")
    server.run("certificate", "replace", code=1)
    equal(bundle(server), second)
    told = server.run("certificate", "replace", "--yes")
    equal("What agents need now" in told, True)
    aside = sorted(path.name.split(".replaced-")[0] for path in folder(server).glob("*.replaced-*"))
    equal(len(aside), 5)
    server.process.send_signal(signal.SIGHUP)
    server.wait_until(lambda: shown(server) != current, "the new certificate is not shown")
    refuses(server, pinned(second))
    verify_in_every_way(server, bundle(server))

    step("an enrolling agent is given the certificate that is served")
    operator = Operator(server, bundle(server))
    code = operator.install_code()
    answer = session(pinned(bundle(server))).post(f"{server.url}/api/agent/enroll/request", timeout=PATIENCE, json={
        "hostname": "NEW", "enrollment_code": code, "client_nonce": "A" * 44,
        "agent_pubkey": "MCowBQYDK2VwAyEA11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=",
    })
    equal(answer.json()["server_certificate"], bundle(server))
    step("the server stops in order")
    server.stop()


if __name__ == "__main__":
    requests.packages.urllib3.disable_warnings()
    tell("certificate life", __doc__, live, variables={"BOREALIS_TLS_NAMES": "agents.example, 192.0.2.10"})
