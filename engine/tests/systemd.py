"""The Debian package's life under a real systemd: type notify, restart after a kill, reload, hardening, upgrade, removal.

    python systemd.py PATH/TO/cargo-deb [TARGET_FOLDER]

Boots systemd as the first process of a container that is made for it: this machine's own programs read-only, with every
change in memory (overlayfs), processes, network, mounts and control groups of its own. Packs the release build that lies in
TARGET_FOLDER (default: target) and does with it there what an administrator does. Needs root, overlayfs, cgroup2, and the
packages systemd, dbus, adduser and curl; nothing of this machine is changed.

Ends with 0 when every step held; otherwise the step that failed stands last.
"""

import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "real_client"))
from package import PACKAGE, pack, run  # noqa: E402
from story import equal, step  # noqa: E402

PATIENCE = 60
UNIT = f"{PACKAGE}.service"
HANDED_OVER = "/srv/borealis"
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

# Run as the first process of new namespaces, with the folder that holds the container's root. What systemd would do to the
# machine itself (settings of the kernel, its modules, its file systems) is masked.
BOOT = r"""
set -eu
base=$1
mount --make-rprivate /
mount -t tmpfs tmpfs "$base"
mkdir "$base/changes" "$base/work" "$base/root"
mount -t overlay overlay -o "lowerdir=/,upperdir=$base/changes,workdir=$base/work" "$base/root"
root=$base/root
mount -t proc proc "$root/proc"
mount --bind "$root/proc/sys" "$root/proc/sys"
mount -o remount,bind,ro "$root/proc/sys"
mount -t sysfs -o ro sysfs "$root/sys"
mount -t tmpfs tmpfs "$root/sys/fs/cgroup"
mount -t cgroup2 cgroup2 "$root/sys/fs/cgroup"
mount -t tmpfs -o mode=755 tmpfs "$root/dev"
mknod -m 666 "$root/dev/null" c 1 3
mknod -m 666 "$root/dev/zero" c 1 5
mknod -m 666 "$root/dev/full" c 1 7
mknod -m 666 "$root/dev/random" c 1 8
mknod -m 666 "$root/dev/urandom" c 1 9
mknod -m 666 "$root/dev/tty" c 5 0
mkdir "$root/dev/pts" "$root/dev/shm"
mount -t devpts -o newinstance,ptmxmode=0666 devpts "$root/dev/pts"
ln -s pts/ptmx "$root/dev/ptmx"
ln -s /proc/self/fd "$root/dev/fd"
mount -t tmpfs tmpfs "$root/dev/shm"
mount -t tmpfs -o mode=755 tmpfs "$root/run"
mount -t tmpfs -o mode=1777 tmpfs "$root/tmp"
units=$root/etc/systemd/system
mkdir -p "$units"
# Nothing of what this machine starts.
printf '[Unit]\nRequires=sysinit.target dbus.socket\nAfter=sysinit.target dbus.socket\nAllowIsolate=yes\n' > "$units/container.target"
for masked in systemd-sysctl systemd-modules-load systemd-remount-fs systemd-udevd systemd-udev-trigger \
    systemd-timesyncd systemd-random-seed systemd-hwdb-update systemd-binfmt; do
    ln -sf /dev/null "$units/$masked.service"
done
cd "$root"
mkdir -p "$root/former"
pivot_root . former
umount -l /former
exec env -i container=other PATH=/usr/sbin:/usr/bin:/sbin:/bin /lib/systemd/systemd --unit=container.target
"""


class Container:
    """systemd and what it runs; every command is one inside."""

    def __init__(self, folder: Path):
        base = folder / "container"
        base.mkdir()
        self.log = open(folder / "boot", "w+b")
        # The namespaces end, with all that runs there, when this process does.
        self.unshared = subprocess.Popen(
            ["unshare", "--fork", "--kill-child", "--pid", "--mount", "--uts", "--ipc", "--net", "--cgroup",
             "sh", "-c", BOOT, "sh", str(base)],
            stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log, start_new_session=True,
        )
        try:
            self.wait_until(self.is_up, "systemd does not come up")
        except BaseException:
            self.end()
            raise

    def is_up(self) -> bool:
        if self.unshared.poll() is not None:
            raise SystemExit(f"the container ended:\n{Path(self.log.name).read_text()}")
        children = Path(f"/proc/{self.unshared.pid}/task/{self.unshared.pid}/children").read_text().split()
        if not children or Path(f"/proc/{children[0]}/comm").read_text() != "systemd\n":
            return False
        self.first_process = children[0]
        return self.ask("systemctl", "is-system-running").stdout.strip() in ("running", "degraded")

    def ask(self, *command: str, **more) -> subprocess.CompletedProcess:
        entered = ["nsenter", f"--target={self.first_process}", "--all", "env", "-i", f"PATH={PATH}", "HOME=/root",
                   "DEBIAN_FRONTEND=noninteractive", "SYSTEMD_PAGER=", *command]
        return subprocess.run(
            entered, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=2 * PATIENCE, **more
        )

    def do(self, *command: str, code=0, **more) -> str:
        done = self.ask(*command, **more)
        if done.returncode != code:
            raise SystemExit(
                f"{' '.join(command)} ended with {done.returncode}, not {code}:\n{done.stdout}\n{self.journal()}"
            )
        return done.stdout

    def journal(self) -> str:
        return self.ask("journalctl", "--no-pager", "--output=cat", f"--unit={UNIT}").stdout

    def property(self, name: str) -> str:
        return self.do("systemctl", "show", "--value", f"--property={name}", UNIT).strip()

    def write(self, path: str, text: str):
        self.do("sh", "-c", 'mkdir -p "$(dirname "$0")" && cat > "$0"', path, input=text)

    def get(self, url: str) -> str:
        # The certificate is the server's own.
        return self.do("curl", "--silent", "--show-error", "--fail", "--insecure", "--max-time", str(PATIENCE), url)

    def wait_until(self, condition, failure: str):
        end = time.monotonic() + PATIENCE
        while not condition():
            if time.monotonic() > end:
                raise SystemExit(f"{failure}:\n{Path(self.log.name).read_text()}")
            time.sleep(0.1)

    def end(self):
        if self.unshared.poll() is None:
            os.kill(self.unshared.pid, signal.SIGKILL)
        self.unshared.wait()
        self.log.close()


def install(container: Container, package: Path) -> str:
    with package.open("rb") as content:
        container.do("sh", "-c", "cat > /root/package.deb", stdin=content)
    return container.do("dpkg", "--force-confold", "--install", "/root/package.deb")


SETTINGS = """BOREALIS_SECRET=the secret of this story
BOREALIS_GITHUB_API_URL=http://127.0.0.1:9
"""
# As the staging guide says it.
CHECK = ["systemd-run", "--pipe", "--wait", "--collect", "--quiet", "--uid=borealis", "--setenv=BOREALIS_ROOT=/var/lib/borealis",
         "--property=EnvironmentFile=/etc/borealis/engine.env", "--property=AmbientCapabilities=CAP_NET_BIND_SERVICE"]


def live(container: Container, first: Path, second: Path):
    step("installed: nothing runs; started and enabled: systemd is told when it answers")
    install(container, first)
    equal(container.property("ActiveState"), "inactive")
    container.write("/etc/borealis/engine.env", SETTINGS)
    container.do("systemctl", "enable", "--now", UNIT)
    # `start` has waited for READY=1, so the first request is answered.
    equal('"ready"' in container.get("http://127.0.0.1:5000/ready"), True)
    equal((container.property("ActiveState"), container.property("Type")), ("active", "notify"))
    exposure = container.do("systemd-analyze", "security", "--no-pager", UNIT).strip().splitlines()[-1]
    equal(float(re.search(r"([0-9.]+) [A-Z]+", exposure).group(1)) < 2.5, True)

    step("it is confined: its root folder alone can be written, and no home can be seen")
    process = container.property("MainPID")
    inside = ["nsenter", f"--target={process}", "--mount", "setpriv", "--reuid=borealis", "--regid=borealis", "--clear-groups"]
    container.do(*inside, "sh", "-c", "touch /var/lib/borealis/x && rm /var/lib/borealis/x")
    equal("Read-only" in container.do(*inside, "touch", "/var/tmp/../lib/x", code=1), True)
    equal("Permission denied" in container.do(*inside, "ls", "/home", code=2), True)
    equal(container.do(*inside, "ls", "/tmp"), "")

    step("killed, it is started again; stopped, it stays so; reloaded, it looks for its certificate")
    container.do("systemctl", "kill", "--kill-who=main", "--signal=KILL", UNIT)
    container.wait_until(
        lambda: container.property("MainPID") not in ("0", process) and container.property("ActiveState") == "active",
        "it does not come back",
    )
    equal(container.property("NRestarts"), "1")
    container.do("systemctl", "reload", UNIT)
    container.wait_until(lambda: "SIGHUP" in container.journal(), "nothing is reloaded")
    container.do("systemctl", "restart", UNIT)
    container.do("systemctl", "stop", UNIT)
    equal((container.property("Result"), container.property("ActiveState")), ("success", "inactive"))

    step("an upgrade starts nothing that did not run, and restarts what does")
    install(container, second)
    equal(container.property("ActiveState"), "inactive")
    container.do("systemctl", "start", UNIT)
    process = container.property("MainPID")
    install(container, first)
    equal((container.property("ActiveState"), container.property("MainPID") != process), ("active", True))

    step("an upgrade over a setting that stops the start is an upgrade all the same, and says that nothing runs")
    container.write("/etc/borealis/engine.env", SETTINGS + "BOREALIS_PORT=many\n")
    told = install(container, second)
    equal("did not start again" in told, True)
    # It cannot be helped by trying again.
    equal((container.property("ActiveState"), container.property("NRestarts")), ("failed", "0"))
    equal("BOREALIS_PORT" in container.journal(), True)

    step("a root folder is handed over, as the staging guide says, and served over TLS at a port of root's")
    container.do("sh", "-c", f"mkdir -p {HANDED_OVER}/Assemblies/Scripts && touch {HANDED_OVER}/Borealis.ps1 && "
                             f"chown -R daemon:daemon {HANDED_OVER}")
    elsewhere = f"BOREALIS_ROOT={HANDED_OVER}\nBOREALIS_HOST=0.0.0.0\nBOREALIS_PORT=443\n"
    container.write("/etc/borealis/engine.env", SETTINGS + elsewhere)
    equal("belongs to user 1" in container.do(*CHECK, "borealis-engine", "check", code=1), True)
    container.do("chown", "-R", "borealis:borealis", HANDED_OVER)
    equal("problem" in container.do(*CHECK, "borealis-engine", "check"), False)
    container.do("systemctl", "start", UNIT, code=1)
    equal("ReadWritePaths" in container.journal(), True)
    container.write(f"/etc/systemd/system/{UNIT}.d/override.conf", f"[Service]\nReadWritePaths={HANDED_OVER}\n")
    container.do("systemctl", "daemon-reload")
    container.do("systemctl", "start", UNIT)
    equal('"ready"' in container.get("https://127.0.0.1/ready"), True)

    step("commands are the server's user's; root is told so, and leaves nothing that the server could not read")
    container.do(*CHECK, "borealis-engine", "certificate", "renew")
    container.do(*CHECK, "borealis-engine", "backup", "--all", f"{HANDED_OVER}/backup.tar")
    as_root = ["env", f"BOREALIS_ROOT={HANDED_OVER}", "borealis-engine"]
    container.do(*as_root, "backup", "/var/backups/borealis.db")
    equal("sudo -u" in container.do(*as_root, "certificate", "renew", code=1), True)
    equal(container.do("find", HANDED_OVER, "-not", "-user", "borealis"), "")
    container.do("systemctl", "restart", UNIT)

    step("removed while it runs: it is stopped and disabled; purged: the data stays")
    container.do("dpkg", "--remove", PACKAGE)
    equal(container.ask("pgrep", "borealis-engine").stdout, "")
    enabled = "/etc/systemd/system/multi-user.target.wants/" + UNIT
    container.do("test", "!", "-e", enabled)
    container.do("dpkg", "--purge", PACKAGE)
    container.do("test", "-e", f"{HANDED_OVER}/database.db")
    equal(container.do("systemctl", "--failed", "--plain", "--no-legend").strip(), "")


def main():
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    if os.geteuid() != 0:
        raise SystemExit("only root makes containers: run this as root")
    missing = [name for name in ["unshare", "nsenter", "systemctl", "dbus-daemon", "adduser", "curl"] if not shutil.which(name)]
    if missing or not Path("/lib/systemd/systemd").exists():
        raise SystemExit(f"install systemd, dbus, adduser and curl first: {', '.join(missing) or 'systemd'} is not there")
    target = Path(sys.argv[2] if len(sys.argv) > 2 else "target").absolute()
    cargo_deb = str(Path(sys.argv[1]).absolute())
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        packages = [pack(cargo_deb, target, folder, version) for version in ("0.0.1", "0.0.2")]
        container = Container(folder)
        try:
            live(container, *packages)
        finally:
            container.end()
    print("systemd: 1 passed, 0 failed")


if __name__ == "__main__":
    main()
