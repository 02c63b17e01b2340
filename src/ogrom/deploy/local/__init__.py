"""The target `local`: this machine, HAProxy in front of two environments of processes."""

from ogrom.deploy.local._client import LocalTarget
from ogrom.deploy.local._fleet import Launcher
from ogrom.deploy.local._process import run_command
from ogrom.deploy.local._serve import serve
from ogrom.deploy.local._supervisor import Settings, Supervisor

__all__ = ["Launcher", "LocalTarget", "Settings", "Supervisor", "run_command", "serve"]
