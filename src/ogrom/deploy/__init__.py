"""Deploying: a commit becomes an artifact, and an artifact becomes what is live, without a pause."""

from ogrom.deploy._artifact import Manifest, Member, build, manifest_of
from ogrom.deploy._config import Config, ConfigError, Local, Rollout, load, local_with, parse
from ogrom.deploy._deploying import Deployer, Outcome
from ogrom.deploy._files import home
from ogrom.deploy._history import Entry
from ogrom.deploy._launch import Launch, launch
from ogrom.deploy._prune import Pruned, prune
from ogrom.deploy._rollout import ROLLOUT, Plan, Request, Settings, Step
from ogrom.deploy._source import Commit, resolve, short
from ogrom.deploy._store import Record, Store
from ogrom.deploy._target import (
    NAMES,
    Answer,
    ArtifactError,
    Counts,
    DeployError,
    Environment,
    Fenced,
    Instance,
    Lease,
    LeaseHeld,
    Name,
    Observation,
    Release,
    Target,
    TargetError,
    other,
)
from ogrom.deploy._targets import entries, needed, requests, settings, target, unfinished
from ogrom.deploy._walk import Event

__all__ = [
    "NAMES",
    "ROLLOUT",
    "Answer",
    "ArtifactError",
    "Commit",
    "Config",
    "ConfigError",
    "Counts",
    "DeployError",
    "Deployer",
    "Entry",
    "Environment",
    "Event",
    "Fenced",
    "Instance",
    "Launch",
    "Lease",
    "LeaseHeld",
    "Local",
    "Manifest",
    "Member",
    "Name",
    "Observation",
    "Outcome",
    "Plan",
    "Pruned",
    "Record",
    "Release",
    "Request",
    "Rollout",
    "Settings",
    "Step",
    "Store",
    "Target",
    "TargetError",
    "build",
    "entries",
    "home",
    "launch",
    "load",
    "local_with",
    "manifest_of",
    "needed",
    "other",
    "parse",
    "prune",
    "requests",
    "resolve",
    "settings",
    "short",
    "target",
    "unfinished",
]
