"""The cost of a step as it grows: by batch, image size and width, in two processes, and on several machines.

One setting at a time differs from the default, each in a fresh process; memory is reported beside that before training.
Then, in turn: one process with two threads; two processes with one thread each (DDP); two independent trainings at once
on half a batch each, whose difference to DDP is communication; and, as root on Linux, two processes in two network
namespaces joined by a cable of limited bandwidth, started by torchrun. The model of `predict` is compared with all of
these, and then applied to numbers of machines and bandwidths that are not available here.
Run where params.yaml is: python benchmarks/growth.py [--family gan] [--rounds 2] [--steps 20] [--megabits 1000 100]
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from operator import itemgetter

from library import namespaces
from library.network_model import predict
from library.trainings import DEFAULT, Found, Trainings
from library.turns import Spread, in_turn, machine, ratios

from pipeline.models import families
from pipeline.system.errors import run

VARIED = {"batch": (4, 8, 16, 32, 64, 128, 256), "size": (16, 28, 64), "width": (32, 64, 128)}
MACHINES, GIGABITS = (1, 2, 4, 8, 16), (1, 10, 100)
SECONDS = itemgetter("seconds")


def sweep(trainings: Trainings, threads: int, rounds: int) -> dict[int, Found]:
    """Measure each configuration in turn, print a row for each, and return the results by batch, seconds as medians."""
    chosen = [(name, value) for name, values in VARIED.items() for value in values]
    chosen = [each for each in chosen if each[1] != DEFAULT[each[0]] or each[0] == "batch"]
    ways = {f"{name} {value}": partial(trainings.one, {name: value}, threads) for name, value in chosen}
    taken = in_turn(ways, rounds, SECONDS)
    print(f"\n| {threads} threads | ms a step | items/s | MiB more than the base | parameters |")
    print("|---|---|---|---|---|")
    by_batch: dict[int, Found] = {}
    for name, value in chosen:
        results = taken[f"{name} {value}"]
        found, seconds = results[-1], Spread.of(list(map(SECONDS, results)))
        if name == "batch":
            by_batch[value] = found | {"seconds": seconds.median}
        items = (DEFAULT | {name: value})["batch"] / seconds.median
        cells = f"{items:.0f} | {found['peak'] - found['base']:.0f} | {found['parameters']:,}"
        print(f"| {name} {value} | {seconds.times(1e3)} | {cells} |", flush=True)
    print(f"base, after imports: {by_batch[DEFAULT['batch']]['base']:.0f} MiB")
    return by_batch


def processes(trainings: Trainings, rounds: int, megabits: Sequence[float]) -> dict[str, list[Found]]:
    """Measure in turn one process, two independent ones, two that train together, and two joined by cables."""
    ways: dict[str, Callable[[], Found]] = {
        "one": lambda: trainings.one({}, 2),
        "at once": trainings.at_once,
        "two": trainings.two,
    }
    if namespaces.possible():
        ways |= {f"{each:g} Mbit/s": partial(trainings.joined, each) for each in megabits}
    else:
        print("no bytes counted and no cables measured: that takes Linux, root, ip and tc", flush=True)
    return in_turn(ways, rounds, SECONDS)


def check(taken: Mapping[str, Sequence[Found]]) -> None:
    """Print the measurements of two processes beside the model's, given the seconds of two independent ones."""
    print("\n| two processes | MB sent | model | ms a step | model | measured / model | all-reduces alone |")
    print("|---|---|---|---|---|---|---|")
    for name in [each for each in taken if each not in ("one", "at once")]:
        found, times = taken[name][-1], list(map(SECONDS, taken[name]))
        nominal = 1e6 * float(name.split()[0]) if name != "two" else found["bandwidth"]
        words = int(found["parameters"]), int(found["players"]), 2, nominal, found["latency"]
        models = [predict(*words, compute) for compute in map(SECONDS, taken["at once"])]
        expected = [model.seconds for model in models]
        sent = f"{found['sent'] / 1e6:.3f} | {models[0].sent / 1e6:.3f}"
        step = f"{Spread.of(times).times(1e3)} | {Spread.of(expected).times(1e3)} | {ratios(times, expected)}"
        link = f"{found['bandwidth'] / 1e6:.0f} Mbit/s, {1e6 * found['latency']:.0f} us a hop"
        print(f"| {name} | {sent} | {step} | {link} |", flush=True)


def machines(by_batch: Mapping[int, Found], latency: float) -> None:
    """Print the model's cost of a default step on N machines, and the speed-up over the measured one."""
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
    """Measure, compare with the model, and apply the model to more machines."""
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
    taken = processes(trainings, words.rounds, words.megabits)
    print(f"steps a second, two processes against one: {ratios(*(map(SECONDS, taken[n]) for n in ('one', 'two')))}")
    check(taken)
    machines(by_batch, taken["two"][-1]["latency"])


if __name__ == "__main__":
    run(main)
