"""Stage `train`: train the chosen family on the train split, and save the model."""

from __future__ import annotations

from dataclasses import asdict

import torch

from pipeline import tracking
from pipeline.data.batches import Batches, scaled
from pipeline.data.prepared import PreparedData
from pipeline.models import families, storage
from pipeline.models.saved import SavedModel
from pipeline.params import Params
from pipeline.system import dependencies, disk, progress, project
from pipeline.system.distributed import follow, leads
from pipeline.system.errors import TrainingError, run
from pipeline.system.rng import key, torch_rng
from pipeline.tracking.callback import Validation
from pipeline.training import checkpoints, environment
from pipeline.training.module import FamilyModule
from pipeline.training.resume import Resumable, fingerprint
from pipeline.training.trainer import fit


def main() -> None:
    """Train, or resume a training that was killed, and write model/ and reports/train/."""
    workspace = project.workspace()
    params = Params.load(workspace)
    data = PreparedData.open(workspace, params.of_data)
    seed, settings, array = params.seed, params.train, data.array("train")
    runtime = params.runtime.model_copy(update={"precision": environment.precision(params.runtime)})
    code = dependencies.of_stage("train")  # now, since it may be edited during the training
    if settings.batch_size > len(array):
        raise TrainingError(
            f"params.yaml: train.batch_size is {settings.batch_size}, but train has {len(array)} items; lower it"
        )
    about = SavedModel(
        family=params.family,
        content=data.about["content"],
        params=params.of_model,
        data_digest=data.digest,
        learnt=data.about["learnt"],
    )
    machine = {"precision": runtime.precision, "torch": torch.__version__}
    work = Resumable(fingerprint(asdict(about) | machine))
    batches = Batches(array, settings.batch_size, seed, lambda: module.done, data.labels("train"))
    with torch.random.fork_rng():
        torch.manual_seed(key(seed, "weights"))
        family = families.build(about.family, about.settings, data.spec)
    module = FamilyModule(family, settings, len(batches), seed)
    if not leads():
        follow(lambda: fit(module, batches, runtime, work.checkpoints))
        return
    with work.alone(), tracking.start(about, data, runtime, work) as tracked:
        checkpoints.set_aside(work.checkpoints)
        module.log_metrics = tracked.metrics
        trained = fit(module, batches, runtime, work.checkpoints, [Validation(tracked, data, seed)], tracked.settled)
        with progress.bar(total=1, desc="finish") as bar:
            trained.finish(scaled(array, data.spec), torch_rng(seed, "finish"))
            bar.update()
        with disk.replacing(workspace / project.MODEL) as folder:
            storage.save(folder, trained, about)
        with disk.replacing(workspace / project.REPORTS / "train" / "curves") as folder:
            module.curves.write(folder)
        described = environment.describe(runtime) | {"code": code}
        disk.write_json(workspace / project.REPORTS / "train" / "environment.json", described)
        tracked.record.write(workspace)


if __name__ == "__main__":
    run(main)
