"""Deploying: a commit becomes an artifact, and an artifact becomes what is live, without a pause."""

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
    "Answer",
    "ArtifactError",
    "Counts",
    "DeployError",
    "Environment",
    "Fenced",
    "Instance",
    "Lease",
    "LeaseHeld",
    "Name",
    "Observation",
    "Release",
    "Target",
    "TargetError",
    "other",
]
