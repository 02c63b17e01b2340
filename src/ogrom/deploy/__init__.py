"""Deploying: a commit becomes an artifact, and an artifact becomes what is live, without a pause."""

from ogrom.deploy._artifact import Manifest, Member, build, manifest_of
from ogrom.deploy._config import Config, ConfigError, Local, Rollout, load, parse
from ogrom.deploy._deploying import Deployer, Outcome
from ogrom.deploy._files import home
from ogrom.deploy._launch import Launch, launch
from ogrom.deploy._rollout import ROLLOUT, Plan, Request, Settings
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
    "Environment",
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
    "Record",
    "Release",
    "Request",
    "Rollout",
    "Settings",
    "Store",
    "Target",
    "TargetError",
    "build",
    "home",
    "launch",
    "load",
    "manifest_of",
    "other",
    "parse",
    "resolve",
    "short",
]
