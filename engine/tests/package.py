"""The Debian package's life as root of a machine sees it: installed, started, upgraded, removed, purged.

    python package.py PATH/TO/cargo-deb [TARGET_FOLDER]

Packs the release build that lies in TARGET_FOLDER (default: target), installs it with dpkg, and starts the service by its
unit: with systemd where that runs, else by the unit's own command line, user, variables and readiness socket. Needs root
and adduser; refuses a machine that has the package, its user or its folders already, and leaves nothing behind.

Ends with 0 when every step held; otherwise the step that failed stands last.
"""

import os
import pwd
import re
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import urllib.request
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "real_client"))
from story import equal, step  # noqa: E402

PATIENCE = 60
PACKAGE = "borealis-engine"
USER = "borealis"
ROOT = Path("/var/lib/borealis")
SETTINGS = Path("/etc/borealis/engine.env")
UNIT = Path("/usr/lib/systemd/system/borealis-engine.service")
PROGRAM = Path("/usr/bin/borealis-engine")
REPOSITORY = Path(__file__).resolve().parents[2]


def run(*command: str, **more) -> str:
    """Standard output of a command that must do what it is asked."""
    ran = subprocess.run(command, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, **more)
    if ran.returncode != 0:
        raise SystemExit(f"{' '.join(command)} ended with {ran.returncode}:\n{ran.stdout}")
    return ran.stdout


def pack(cargo_deb: str, target: Path, folder: Path, version: str) -> Path:
    """A package of the release build, under a version of its own."""
    file = folder / f"{PACKAGE}-{version}.deb"
    environment = os.environ | {"CARGO_TARGET_DIR": str(target)}
    # Packed quickly: nobody carries these packages anywhere.
    run(cargo_deb, "-p", PACKAGE, "--no-build", "--no-strip", "--fast", "--deb-version", version, "--output", str(file),
        cwd=REPOSITORY, env=environment)
    return file


def install(package: Path) -> str:
    environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    return run("dpkg", "--force-confold", "--install", str(package), env=environment)


def owner_and_mode(path: Path) -> tuple[int, int, str]:
    found = path.stat()
    return found.st_uid, found.st_gid, oct(stat.S_IMODE(found.st_mode))


class Service:
    """What the unit starts, without systemd."""

    def __init__(self, folder: Path):
        unit = UNIT.read_text()
        lines = re.findall(r"^(\w+)=(.*)$", unit, re.MULTILINE)
        variables = dict(value.split("=", 1) for name, value in lines if name == "Environment")
        for line in SETTINGS.read_text().splitlines():
            if line and not line.startswith("#"):
                name, value = line.split("=", 1)
                variables[name] = value
        (command,) = [value for name, value in lines if name == "ExecStart"]
        (user,) = [value for name, value in lines if name == "User"]
        equal([value for name, value in lines if name == "Type"], ["notify"])
        address = folder / "notify"
        address.unlink(missing_ok=True)
        ready = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        ready.bind(str(address))
        # The folder and the socket are root's; the server runs as another user.
        os.chmod(folder, 0o711)
        os.chmod(address, 0o666)
        ready.settimeout(PATIENCE)
        self.log = open(folder / "journal", "w+b")
        self.process = subprocess.Popen(
            ["setpriv", f"--reuid={user}", f"--regid={user}", "--init-groups", *command.split()],
            env={"PATH": "/usr/bin:/bin", "NOTIFY_SOCKET": str(address)} | variables,
            cwd="/", stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log,
        )
        try:
            equal(ready.recv(100).strip(), b"READY=1")
        except TimeoutError:
            raise SystemExit(f"it does not say that it is ready:\n{self.journal()}") from None
        finally:
            ready.close()
        found = re.search(r"serving (http://[0-9.:]+)", self.journal())
        self.url = found.group(1)

    def journal(self) -> str:
        self.log.flush()
        return Path(self.log.name).read_text()

    def get(self, path: str) -> str:
        with urllib.request.urlopen(self.url + path, timeout=PATIENCE) as answer:
            return answer.read().decode()

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        equal(self.process.wait(PATIENCE), 0)
        self.log.close()


def live(cargo_deb: str, target: Path, folder: Path):
    step("the release build is packed")
    first = pack(cargo_deb, target, folder, "0.0.1")
    second = pack(cargo_deb, target, folder, "0.0.2")
    content = run("dpkg-deb", "--contents", str(first))
    for path in [PROGRAM, UNIT, SETTINGS]:
        equal(f".{path}\n" in content, True)

    step("installed: a user, a folder of its own, settings for root alone, and nothing runs")
    told = install(first)
    equal("systemctl enable --now borealis-engine" in told, True)
    user = pwd.getpwnam(USER)
    equal(owner_and_mode(ROOT), (user.pw_uid, user.pw_gid, "0o700"))
    equal(owner_and_mode(SETTINGS), (0, 0, "0o600"))
    equal(list(ROOT.iterdir()), [])
    if shutil.which("systemd-analyze"):
        run("systemd-analyze", "verify", str(UNIT))

    step("started by the unit's own command line, over its empty folder")
    with SETTINGS.open("a") as settings:
        settings.write("BOREALIS_PORT=0\nBOREALIS_SECRET=the secret of the package's test\n")
        settings.write("BOREALIS_GITHUB_API_URL=http://127.0.0.1:9\n")
    edited = SETTINGS.read_bytes()
    service = Service(folder)
    equal('"ready"' in service.get("/ready"), True)
    service.stop()
    database = ROOT / "database.db"
    equal(owner_and_mode(database), (user.pw_uid, user.pw_gid, "0o600"))
    for path in ROOT.rglob("*"):
        equal((str(path), path.stat().st_uid), (str(path), user.pw_uid))

    step("upgraded: the settings stay as they were edited, and so do owner and mode of the root folder")
    os.chown(ROOT, user.pw_uid, 0)
    os.chmod(ROOT, 0o750)
    before = {path: owner_and_mode(path) for path in [ROOT, *ROOT.rglob("*")]}
    install(second)
    equal(run("dpkg-query", "--showformat", "${Version}", "--show", PACKAGE), "0.0.2")
    equal(SETTINGS.read_bytes(), edited)
    equal({path: owner_and_mode(path) for path in [ROOT, *ROOT.rglob("*")]}, before)
    service = Service(folder)
    equal('"ready"' in service.get("/ready"), True)
    service.stop()

    step("removed: the program goes, settings and data stay")
    run("dpkg", "--remove", PACKAGE)
    equal([PROGRAM.exists(), UNIT.exists(), SETTINGS.exists(), database.exists()], [False, False, True, True])

    step("installed over a root folder that belongs to somebody else: nothing of it is changed")
    os.chown(ROOT, 0, 0)
    os.chmod(ROOT, 0o755)
    before = {path: owner_and_mode(path) for path in [ROOT, *ROOT.rglob("*")]}
    install(first)
    equal({path: owner_and_mode(path) for path in [ROOT, *ROOT.rglob("*")]}, before)
    equal(SETTINGS.read_bytes(), edited)

    step("purged: the settings go too, the data stays")
    told = run("dpkg", "--purge", PACKAGE)
    equal("/var/lib/borealis stays" in told, True)
    equal([PROGRAM.exists(), SETTINGS.exists(), SETTINGS.parent.exists(), database.exists()], [False, False, False, True])


def clean_up():
    """Whatever a step left."""
    subprocess.run(["dpkg", "--purge", "--force-all", PACKAGE], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    shutil.rmtree(ROOT, ignore_errors=True)
    shutil.rmtree(SETTINGS.parent, ignore_errors=True)
    for command in ["deluser", "delgroup"]:
        subprocess.run([command, "--quiet", USER], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def main():
    if os.geteuid() != 0:
        raise SystemExit("only root installs packages: run this as root of a machine that may be tried on")
    if Path("/run/systemd/system").exists():
        raise SystemExit("systemd runs here: this is for a container, where the unit's command line can be tried alone")
    cargo_deb = str(Path(sys.argv[1]).absolute())
    target = Path(sys.argv[2] if len(sys.argv) > 2 else "target").absolute()
    known = subprocess.run(["dpkg-query", "--show", PACKAGE], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    users = [entry.pw_name for entry in pwd.getpwall()]
    for is_there, what in [
        (known.returncode == 0 and known.stdout, f"the package {PACKAGE}"),
        (USER in users, f"the user {USER}"),
        (ROOT.exists(), str(ROOT)),
        (SETTINGS.parent.exists(), str(SETTINGS.parent)),
    ]:
        if is_there:
            raise SystemExit(f"{what} is on this machine already, and would be changed: try it on another one")
    with tempfile.TemporaryDirectory() as folder:
        try:
            live(cargo_deb, target, Path(folder))
        finally:
            clean_up()


if __name__ == "__main__":
    main()
