"""Samples that are drawn a piece at a time, and their features."""

import tracemalloc

import numpy as np
import pytest
from stages import PARAMS

from pipeline import evaluation
from pipeline.extractors import in_domain
from pipeline.models import Model
from pipeline.params import EvaluateParams, FeaturesParams
from pipeline.reference import Reference
from pipeline.team import Team

SETTINGS = EvaluateParams(samples=700, reconstructions=10)


@pytest.fixture(scope="module")
def drawn_from(toy, tmp_path_factory):
    """Return a model, and the folder of an extractor."""
    folder = tmp_path_factory.mktemp("features")
    settings = FeaturesParams(**PARAMS["features"] | {"epochs": 1, "width": 8, "dimensions": 8})
    in_domain.fit(toy.items(64), None, 1, toy.spec, settings, seed=0).save(folder)
    return Model(toy.family("vae").requires_grad_(False).eval(), toy.content, toy.about("vae")), folder


def test_pieces_make_no_difference_to_samples_and_their_features(drawn_from, monkeypatch):
    model, folder = drawn_from
    whole = evaluation.draw(model, folder, SETTINGS, 0, Team())
    monkeypatch.setattr(evaluation, "PIECE", 256)
    shares = []
    parts = evaluation.draw(model, folder, SETTINGS, 0, Team(), shares.append)
    assert whole.shape == (700, 8)
    assert np.array_equal(whole, parts)
    assert shares == [256 / 700, 512 / 700, 1]


def test_a_process_without_a_part_in_the_last_piece_joins_in_all_the_same(drawn_from, monkeypatch):
    model, folder = drawn_from
    monkeypatch.setattr(evaluation, "PIECE", 256)
    whole, rounds = evaluation.draw(model, folder, SETTINGS, 0, Team()), []

    class Second(Team):
        """The second of two, that keeps what each round gave it."""

        def join(self, rows, n, chunk):
            rounds.append(rows)
            return np.zeros((n, rows.shape[1]), np.float32)

    evaluation.draw(model, folder, SETTINGS, 0, Second(1, 2))
    assert [len(rows) for rows in rounds] == [256, 0]
    assert np.array_equal(rounds[0], whole[256:512])


def test_memory_does_not_grow_with_the_features_of_the_samples(monkeypatch, tmp_path):
    monkeypatch.setattr("pipeline.metrics.features.BLOCK", 2**16)
    monkeypatch.setattr(evaluation, "PAIRWISE", 100)
    rng, (n, d) = np.random.default_rng(0), (50_000, 32)
    few = rng.normal(size=(200, d)).astype(np.float32)
    on_disk = np.memmap(tmp_path / "features", np.float32, "w+", shape=(n, d))
    on_disk[:] = rng.normal(size=(n, d))
    tracemalloc.start()
    try:
        evaluation._distances("fid", "in_domain", Reference(few, few, np.arange(200)), on_disk, 0)
        most = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert most < on_disk.nbytes
