"""The target `local`: this machine, HAProxy in front of two environments of processes."""

from ogrom.deploy.local._client import LocalTarget
from ogrom.deploy.local._control import serving
from ogrom.deploy.local._supervisor import Launcher, Settings, Supervisor

__all__ = ["Launcher", "LocalTarget", "Settings", "Supervisor", "serving"]
