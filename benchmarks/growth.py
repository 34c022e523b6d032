"""What a step takes as it grows: by batch, image size and width, in two processes, and on several machines.

One thing at a time is varied around the default, each in a fresh process, whose memory is given beside what it held
before any training. Then come, in turn: one process with two threads; two processes with one thread each (DDP); two
trainings at once on half a batch each, which do not communicate, so that what is left is communication; and, as root on
Linux, two processes in two network namespaces joined by a cable of limited bandwidth, started by torchrun. `predict` is
the model of what N machines take: it is held against all of these, and then asked about machines that are not here.
Run where params.yaml is: python benchmarks/growth.py [--family gan] [--rounds 2] [--steps 20] [--megabits 1000 100]
"""

from __future__ import annotations

import argparse
import json
import math
import os
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

import namespaces
from turns import Spread, in_turn, machine, ratios

from pipeline.models import families
from pipeline.system.errors import run

PYTHON, PROGRAM = sys.executable, str(Path(__file__).with_name("one_training.py"))
TORCHRUN = ("-m", "torch.distributed.run", "--nnodes=2", "--nproc-per-node=1", f"--master-addr={namespaces.NET}.1")
DEFAULT = {"batch": 64, "size": 28, "width": 64}
VARIED = {"batch": (4, 8, 16, 32, 64, 128, 256), "size": (16, 28, 64), "width": (32, 64, 128)}
MACHINES, GIGABITS = (1, 2, 4, 8, 16), (1, 10, 100)
FIGURES = 4
"""Numbers that follow a player's gradients: its loss and terms."""
PATIENCE = 300
"""Seconds that a training may take."""
FIRST, BUCKET = 1 << 20, 25 << 20
"""Bytes of gradients that DDP sends together, at first and from then on."""

Found = dict[str, float]


class Step(NamedTuple):
    """Bytes that each process sends in a step, and the step's seconds."""

    sent: float
    seconds: float


def predict(parameters: int, players: int, machines: int, bandwidth: float, latency: float, compute: float) -> Step:
    """Return what a step takes on some machines, of one process each, if communication waits for computation.

    A ring all-reduce sends 2 (N - 1) / N of its bytes from each machine, in 2 (N - 1) hops. DDP reduces the float32
    gradients of all players after each player's loss, in buckets; each player's metrics follow, and one decision.

    Args:
        parameters: those of all players.
        players: how many take turns in a step.
        machines: N.
        bandwidth: bits a second that a machine sends.
        latency: seconds of a hop.
        compute: seconds of a step on a machine's share of the batch, by itself.
    """
    hops = 2 * (machines - 1)
    sent = hops / machines * 4 * players * (parameters + FIGURES)
    buckets = 1 + math.ceil(max(0, 4 * parameters - FIRST) / BUCKET)
    collectives = players * (buckets + 1) + 1
    return Step(sent, compute + 8 * sent / bandwidth + collectives * hops * latency)


class Trainings:
    """Trainings of one family, each a program of its own, and the latest finding of each that was named."""

    def __init__(self, family: str, steps: int) -> None:
        self.family, self.steps = family, steps
        self.latest: dict[str, Found] = {}

    def begin(
        self, changes: dict[str, int], threads: int, launcher: Sequence[str] = (PYTHON,)
    ) -> subprocess.Popen[str]:
        """Start one that differs from the default, with so many threads a process."""
        chosen = DEFAULT | {"steps": self.steps} | changes
        words = [PROGRAM, "--family", self.family, *(f"--{name}={value}" for name, value in chosen.items())]
        env = os.environ | {"OMP_NUM_THREADS": str(threads)}
        pipe = subprocess.PIPE
        return subprocess.Popen([*launcher, *words], env=env, stdout=pipe, stderr=pipe, text=True)

    def one(self, changes: dict[str, int], threads: int) -> Found:
        """Return what a training of one process says of itself."""
        return finish(self.begin(changes, threads))

    def at_once(self) -> Found:
        """Return what the first of two says that know nothing of each other, each on half a batch.

        They take twice the steps, so that most of these fall together.
        """
        half = {"batch": DEFAULT["batch"] // 2, "steps": 2 * self.steps}
        return finish(self.begin(half, 1), self.begin(half, 1))

    def two(self) -> Found:
        """Return what two processes say that the pipeline starts, in a network of their own if there can be one."""
        if not namespaces.possible():
            return finish(self.begin({"devices": 2}, 1)) | {"sent": math.nan}
        with namespaces.namespace("both") as place:
            return finish(self.begin({"devices": 2}, 1, [*place.words, PYTHON]))

    def joined(self, megabits: float) -> Found:
        """Return what two processes say that torchrun starts, each at its end of a cable, as on two machines."""
        with namespaces.joined(megabits) as places:
            ends = [[*place.words, "env", f"GLOO_SOCKET_IFNAME={namespaces.END}", PYTHON] for place in places]
            launchers = [[*end, *TORCHRUN, f"--node-rank={rank}"] for rank, end in enumerate(ends)]
            return finish(*(self.begin({"nodes": 2}, 1, launcher) for launcher in launchers))

    def named(self, name: str, train: Callable[[], Found]) -> Callable[[], float]:
        """Return what trains, keeps what was found under a name, and returns the seconds of a step."""

        def seconds() -> float:
            self.latest[name] = train()
            return self.latest[name]["seconds"]

        return seconds


def finish(*trainings: subprocess.Popen[str]) -> Found:
    """Wait for trainings, and return what the first says of itself in its last line."""
    try:
        spoken = [training.communicate(timeout=PATIENCE) for training in trainings]
    finally:
        for training in trainings:
            training.kill()
    for training, (_, errors) in zip(trainings, spoken, strict=True):
        if training.returncode:
            sys.exit(f"{errors}\na training failed, with code {training.returncode}")
    found: Found = json.loads(spoken[0][0].splitlines()[-1])
    return found


def sweep(trainings: Trainings, threads: int, rounds: int) -> dict[int, Found]:
    """Print a row a configuration, measured in turn, and return what was found by batch, with the median of seconds."""
    chosen = [(name, value) for name, values in VARIED.items() for value in values]
    chosen = [each for each in chosen if each[1] != DEFAULT[each[0]] or each[0] == "batch"]
    ways = {
        f"{name} {value}": trainings.named(f"{name} {value}", partial(trainings.one, {name: value}, threads))
        for name, value in chosen
    }
    taken = in_turn(ways, rounds)
    print(f"\n| {threads} threads | ms a step | items a second | MiB more than the base | parameters |")
    print("|---|---|---|---|---|")
    by_batch: dict[int, Found] = {}
    for name, value in chosen:
        found, seconds = trainings.latest[f"{name} {value}"], Spread.of(taken[f"{name} {value}"])
        if name == "batch":
            by_batch[value] = found | {"seconds": seconds.median}
        items = (DEFAULT | {name: value})["batch"] / seconds.median
        step = Spread(*(1e3 * each for each in seconds))
        more = found["peak"] - found["base"]
        print(f"| {name} {value} | {step} | {items:.0f} | {more:.0f} | {found['parameters']:,} |", flush=True)
    print(f"base, after imports: {by_batch[DEFAULT['batch']]['base']:.0f} MiB")
    return by_batch


def processes(trainings: Trainings, rounds: int, megabits: Sequence[float]) -> dict[str, list[float]]:
    """Return the seconds of a step in each round of one process, of two, and of two over cables."""
    ways: dict[str, Callable[[], Found]] = {
        "one": lambda: trainings.one({}, 2),
        "at once": trainings.at_once,
        "two": trainings.two,
    }
    if namespaces.possible():
        ways |= {f"{each:g} Mbit/s": partial(trainings.joined, each) for each in megabits}
    else:
        print("no bytes are counted and no cables laid: that takes Linux, root, ip and tc", flush=True)
    return in_turn({name: trainings.named(name, way) for name, way in ways.items()}, rounds)


def check(trainings: Trainings, seconds: Mapping[str, Sequence[float]]) -> None:
    """Print what was measured of two processes beside what the model says, given what they take by themselves."""
    print("\n| two processes | MB sent | model | ms a step | model | measured / model | all-reduces by themselves |")
    print("|---|---|---|---|---|---|---|")
    for name in [each for each in seconds if each not in ("one", "at once")]:
        found = trainings.latest[name]
        nominal = 1e6 * float(name.split()[0]) if name != "two" else found["bandwidth"]
        words = int(found["parameters"]), int(found["players"]), 2, nominal, found["latency"]
        models = [predict(*words, compute) for compute in seconds["at once"]]
        sent = f"{found['sent'] / 1e6:.3f} | {models[0].sent / 1e6:.3f}"
        times, expected = seconds[name], [model.seconds for model in models]
        spreads = [Spread.of([1e3 * each for each in of]) for of in (times, expected)]
        link = f"{found['bandwidth'] / 1e6:.0f} Mbit/s, {1e6 * found['latency']:.0f} us a hop"
        print(f"| {name} | {sent} | {spreads[0]} | {spreads[1]} | {ratios(times, expected)} | {link} |", flush=True)


def machines(by_batch: Mapping[int, Found], latency: float) -> None:
    """Print what N machines would take for a default step, and how many times as fast as one that is."""
    print(f"\nby the model, at {1e6 * latency:.0f} us a hop:")
    print(f"| machines | items each | ms compute | MB sent | {' | '.join(f'{g} Gbit/s' for g in GIGABITS)} |")
    print("|---|---|---|---|---|---|---|")
    whole = by_batch[DEFAULT["batch"]]["seconds"]
    for count in MACHINES:
        found = by_batch[DEFAULT["batch"] // count]
        words = int(found["parameters"]), int(found["players"]), count
        steps = [predict(*words, 1e9 * each, latency, found["seconds"]) for each in GIGABITS]
        cells = [f"{1e3 * step.seconds:.1f} ms, {whole / step.seconds:.2f}x" for step in steps]
        first = f"{DEFAULT['batch'] // count} | {1e3 * found['seconds']:.1f} | {steps[0].sent / 1e6:.2f}"
        print(f"| {count} | {first} | {' | '.join(cells)} |")


def main() -> None:
    """Measure, hold the model against it, and ask it about more machines."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--family", choices=sorted(families.FAMILIES), default="vae")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--threads", type=int, default=2, help="of the trainings of growing size")
    parser.add_argument("--megabits", type=float, nargs="*", default=[1000, 100], help="bandwidths of the cables")
    words = parser.parse_args()
    print(machine("pytorch-lightning"))
    trainings = Trainings(words.family, words.steps)
    by_batch = sweep(trainings, words.threads, words.rounds)
    seconds = processes(trainings, words.rounds, words.megabits)
    print(f"steps a second, two processes against one: {ratios(seconds['one'], seconds['two'])}")
    check(trainings, seconds)
    machines(by_batch, trainings.latest["two"]["latency"])


if __name__ == "__main__":
    run(main)
