"""How a story against the release binary is told: its steps, its claims, its server and its end."""

import sys
import tempfile
import warnings
from pathlib import Path

from server import Server


def equal(found, wanted):
    if found != wanted:
        raise AssertionError(f"{found!r} is not {wanted!r}")


def step(text: str):
    print(f"  {text}", flush=True)


def tell(name: str, usage: str, story, kind=Server, variables: dict | None = None):
    """Runs `story(server)` over an empty root; the process ends with 0 when every step held."""
    # The one unverified request is the first: an agent has no certificate yet.
    warnings.filterwarnings("ignore", message="Unverified HTTPS request")
    if len(sys.argv) < 2:
        sys.exit(usage)
    with tempfile.TemporaryDirectory() as root:
        server = kind(Path(sys.argv[1]).resolve(), Path(root), variables)
        try:
            server.start()
            story(server)
        except BaseException:
            print(f"\nthe server's log:\n{server.log()}", flush=True)
            raise
        finally:
            server.kill()
    print(f"{name}: 1 passed, 0 failed")
