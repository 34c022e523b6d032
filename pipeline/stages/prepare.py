"""Stage `prepare`: convert raw files to the arrays of data/prepared."""

from __future__ import annotations

import csv
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from pipeline import contents
from pipeline.contents.base import LeftOut, Rejected
from pipeline.contents.folders import MIB, Folder
from pipeline.contents.names import Names
from pipeline.contents.sources import Card
from pipeline.data import preparation
from pipeline.data.prepared import SPLITS, PreparedData
from pipeline.params import Params
from pipeline.system import disk, project
from pipeline.system.errors import SourceError, run

SHOWN, COLUMNS = 80, 16


def main() -> None:
    """Read, encode, deduplicate and split a source; report unusable files; draw what the model will see."""
    workspace = project.workspace()
    params = Params.load(workspace)
    settings, report = params.prepare, workspace / project.REPORTS / "prepare"
    place = workspace / "data" / "raw" / settings.source
    if not place.is_dir():
        raise SourceError(f"prepare.source is {settings.source}, but there is no folder {place}")
    source = Folder(place, settings.max_file_mib * MIB, settings.follow_links)
    chosen = params.content_section.model_dump()
    learnt = dict(contents.build(params.content, chosen, {}).learn(source))
    content = contents.build(params.content, chosen, learnt)
    folder = workspace / project.PREPARED
    with (
        disk.replacing(folder) as temporary,
        tempfile.TemporaryFile(dir=folder.parent, buffering=0) as encoded,
        Names(folder.parent) as names,
        _listing(report / "duplicates.csv") as leave_out,
    ):
        found = preparation.harvest(content, source, encoded, params.seed, names, leave_out)
        _write_rejected(report / "rejected.csv", found.rejected)
        preparation.check(found, settings.max_rejected, place)
        splits, repeats = preparation.split(found, settings.split)
        for each in preparation.duplicates(found.rows, repeats, names):
            leave_out(each)
        for name, rows in splits.items():
            preparation.write(rows, encoded, content.spec, temporary, name)
        card, files = Card.read(place), preparation.digests(temporary)
        disk.write_json(
            temporary / "dataset.json",
            {
                "seed": params.seed,
                "source": source.name,
                "title": card.title,
                "homepage": card.homepage,
                "licence": card.licence,
                "content": params.content,
                "settings": chosen,
                "learnt": learnt,
                "shape": content.spec.shape,
                "layout": content.spec.layout,
                "levels": content.spec.levels,
                "vocab_size": content.spec.vocab_size,
                "classes": found.classes,
                "counts": {name: len(rows) for name, rows in splits.items()},
                "rejected": len(found.rejected),
                "duplicates": found.left_out + len(repeats),
                "prepare": settings.model_dump(),
                "files": files,
                "digest": disk.digest_of(files),
            },
        )
    _report(PreparedData.open(workspace), report)


@contextmanager
def _listing(path: Path) -> Iterator[Callable[[LeftOut], object]]:
    """Yield a function that writes a row for each thing that is left out, as it is found."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file)
        rows.writerow(["item", "repeats", "why"])
        yield lambda each: rows.writerow((each.origin, each.of, each.reason))


def _write_rejected(path: Path, rejected: list[Rejected]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file)
        rows.writerow(["file", "reason"])
        rows.writerows((each.origin, each.reason) for each in rejected)


def _report(data: PreparedData, report: Path) -> None:
    """Draw the first items of train with their classes, and count items, rejected files and duplicates."""
    shown = data.array("train")[:SHOWN]
    names = [data.classes[label] for label in data.labels("train")[:SHOWN]] if len(data.classes) > 1 else []
    data.content.show(data.content.decode(shown), COLUMNS, names).save(report / "examples.png")
    counts = {name: data.about["counts"][name] for name in SPLITS}
    metrics = counts | {"rejected": data.about["rejected"], "duplicates": data.about["duplicates"]}
    disk.write_json(report / "metrics.json", metrics)


if __name__ == "__main__":
    run(main)
