"""A model of the time that a training step takes on several machines."""

from __future__ import annotations

import math
from typing import NamedTuple

METRICS = 4
"""Numbers that follow a player's gradients: its loss and terms."""
FIRST, BUCKET = 1 << 20, 25 << 20
"""Bytes of gradients in DDP's first bucket, and in each further one."""


class Step(NamedTuple):
    """Bytes that each process sends in a step, and the step's seconds."""

    sent: float
    seconds: float


def predict(parameters: int, players: int, machines: int, bandwidth: float, latency: float, compute: float) -> Step:
    """Return the cost of a step on several machines with one process each, if communication and computation alternate.

    A ring all-reduce sends 2 (N - 1) / N of its bytes from each machine, in 2 (N - 1) hops. DDP reduces the float32
    gradients of all players after each player's loss, in buckets; each player's metrics follow, and one decision.

    Args:
        parameters: number of trained parameters of all players.
        players: number of networks that train in turn in a step.
        machines: N.
        bandwidth: bits a second that a machine sends.
        latency: seconds of a hop.
        compute: seconds of a step on a machine's share of the batch, without communication.
    """
    hops = 2 * (machines - 1)
    sent = hops / machines * 4 * players * (parameters + METRICS)
    buckets = 1 + math.ceil(max(0, 4 * parameters - FIRST) / BUCKET)
    collectives = players * (buckets + 1) + 1
    return Step(sent, compute + 8 * sent / bandwidth + collectives * hops * latency)
