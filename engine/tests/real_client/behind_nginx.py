"""What only a proxy in front of the server can show, with the configuration of `engine/docs/nginx.conf`.

    python behind_nginx.py PATH/TO/borealis-engine

Ends with 0 when every step held; otherwise the step that failed stands last.
"""

import socket
import time
from pathlib import Path

import requests

from agent import PATIENCE
from nginx import BehindNginx, replaced
from operators import Operator
from server import VERIFICATIONS, Server, pinned, session
from story import equal, step, tell

KB = 1000
MB = 1000 * KB
TIMES = 20


def bundle(server: Server) -> str:
    return Path(server.root, "Certificates/Server/borealis-server-bundle.pem").read_text()


def refused(server: Server, http: requests.Session):
    """Every request without a login gets its 401, however long its body is and however it is sent."""
    def pieces(length: int):
        for _ in range(length // (100 * KB)):
            yield bytes(100 * KB)

    for length, times in ((100 * KB, TIMES), (MB, TIMES), (10 * MB, TIMES // 2), (50 * MB, TIMES // 4)):
        seen = {}
        for number in range(times):
            body = bytes(length) if number % 2 else pieces(length)
            answer = http.post(f"{server.url}/api/users", data=body, timeout=60)
            seen[answer.status_code] = seen.get(answer.status_code, 0) + 1
            equal((answer.status_code, answer.json()), (401, {"error": "unauthorized"}))
        print(f"    {length // KB} kB: {seen}", flush=True)


def handshake(server: BehindNginx, origin: str) -> int:
    http = session(pinned(bundle(server)))
    url = f"{server.url}/socket.io/?EIO=4&transport=polling"
    return http.get(url, headers={"Origin": origin}, timeout=PATIENCE).status_code


def write(operator: Operator, origin: str) -> tuple[int, dict]:
    """What a page of this origin gets when it writes with the operator's cookies."""
    answer = operator.http.post(
        f"{operator.server.url}/api/admin/enrollment-codes",
        json={"ttl_hours": 1, "max_uses": 1}, headers={"Origin": origin}, timeout=PATIENCE)
    return answer.status_code, answer.json()


FORBIDDEN = (403, {"error": "forbidden_origin"})


def rewritten_host(server: BehindNginx, operator: Operator):
    """An operator can write through a proxy that rewrites `Host`, with what the log says to do about it."""
    host, forwarded = "proxy_set_header Host              $http_host;", "proxy_set_header X-Forwarded-Host  $http_host;"
    step("an operator writes from the server's own page; another site's page cannot")
    equal(write(operator, server.url)[0], 200)
    equal(write(operator, "https://foreign.example"), FORBIDDEN)
    step("also where nginx rewrites Host and says what it was")
    server.reload(lambda text: replaced(text, host, "proxy_set_header Host inner.example;"))
    equal(write(operator, server.url)[0], 200)
    step("where it says nothing, BOREALIS_PUBLIC_URL does, and the log names it")
    silent = lambda text: replaced(replaced(text, host, "proxy_set_header Host inner.example;"), forwarded, "")
    server.reload(silent)
    equal(write(operator, server.url), FORBIDDEN)
    if "set BOREALIS_PUBLIC_URL" not in server.log():
        raise AssertionError("the log does not say what to do")
    server.stop()
    server.variables["BOREALIS_PUBLIC_URL"] = server.url
    server.start()
    equal(write(operator, server.url)[0], 200)
    equal(write(operator, "https://foreign.example"), FORBIDDEN)
    answer = operator.http.post(f"{server.url}//api//users", allow_redirects=False, timeout=PATIENCE)
    equal((answer.status_code, answer.headers["location"]), (308, f"{server.url}/api/users"))
    server.reload()


def idle_for_a_minute(server: BehindNginx):
    """A connection as nginx keeps them to the engine is still there after nginx would have closed it."""
    with socket.create_connection(("127.0.0.1", server.inner_port), PATIENCE) as connection:
        request = b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n"
        connection.sendall(request)
        equal(connection.recv(12), b"HTTP/1.1 200")
        connection.settimeout(1)
        time.sleep(62)
        try:
            while connection.recv(65536):
                pass
            raise AssertionError("the engine closed an idle connection first")
        except TimeoutError:
            pass
        connection.settimeout(PATIENCE)
        connection.sendall(request)
        equal(connection.recv(12), b"HTTP/1.1 200")


def live(server: BehindNginx):
    certificate = bundle(server)
    step("agents verify what nginx shows in every way")
    for flags in VERIFICATIONS.values():
        http = session(pinned(certificate, flags))
        equal(http.get(f"{server.url}/health", timeout=PATIENCE).json(), {"status": "ok"})
    step("refused requests get their 401, never a 502")
    refused(server, session(pinned(certificate)))
    step("and with a proxy that passes bodies on as they come")
    size = "client_max_body_size"
    server.reload(lambda text: replaced(text, size, f"proxy_request_buffering off; {size}"))
    refused(server, session(pinned(certificate)))
    server.reload()

    step("the server's own origin may open sockets although the setting lists another; a foreign one may not")
    equal(handshake(server, server.url), 200)
    equal(handshake(server, f"http://localhost:{server.port}"), 200)
    equal(handshake(server, "https://listed.example"), 200)
    equal(handshake(server, "https://foreign.example"), 400)
    equal(handshake(server, f"https://localhost:{server.inner_port}"), 400)
    step("websocket and polling")
    operator = Operator(server, certificate)
    for transports in (["websocket"], ["polling"], ["polling", "websocket"]):
        channel = operator.connect(transports)
        equal(channel.client.transport(), transports[-1])
        channel.close()

    rewritten_host(server, operator)

    step("redirects keep scheme, host and port")
    answer = session(pinned(certificate)).post(
        f"{server.url}//api//users?x=1", allow_redirects=False, timeout=PATIENCE)
    equal((answer.status_code, answer.headers["location"]), (308, f"{server.url}/api/users?x=1"))

    step("the limits count the client's address as nginx saw it, not what the client says of itself")
    # The test's own address is loopback, which is trusted like nginx's; nginx is made to have seen another one.
    server.reload(lambda text: replaced(text, "$proxy_add_x_forwarded_for", '"$http_x_forwarded_for, 192.0.2.77"'))
    http = session(pinned(certificate))
    codes = []
    for number in range(11):
        login = {"username": "nobody-here", "password": "wrong"}
        headers = {"X-Forwarded-For": f"203.0.113.{number}"}
        codes.append(http.post(f"{server.url}/api/auth/login", json=login, headers=headers, timeout=PATIENCE).status_code)
    equal(codes, [401] * 10 + [429])
    server.reload()

    step("an idle connection of nginx to the engine outlives nginx's minute")
    idle_for_a_minute(server)
    equal(operator.get("/api/auth/me")["username"], "admin")
    step("the server stops in order")
    server.stop()


if __name__ == "__main__":
    variables = {"BOREALIS_CORS_ALLOWED_ORIGINS": "https://listed.example"}
    tell("behind nginx", __doc__, live, BehindNginx, variables)
