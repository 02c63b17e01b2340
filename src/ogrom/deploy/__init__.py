"""Deploying: a commit becomes an artifact, and an artifact becomes what is live, without a pause."""

from ogrom.deploy._deploying import Deployer, Outcome
from ogrom.deploy._rollout import ROLLOUT, Plan, Request, Settings
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
    "Counts",
    "DeployError",
    "Deployer",
    "Environment",
    "Fenced",
    "Instance",
    "Lease",
    "LeaseHeld",
    "Name",
    "Observation",
    "Outcome",
    "Plan",
    "Release",
    "Request",
    "Settings",
    "Target",
    "TargetError",
    "other",
]
