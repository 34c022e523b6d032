"""The fields that the stages' JSON must have at least."""

DATASET = {
    "seed": 0,
    "source": "here",
    "title": None,
    "homepage": None,
    "licence": None,
    "content": "image",
    "settings": {"side": 16, "channels": 1},
    "learnt": {},
    "prepare": {"source": "here"},
    "classes": ["a", "b"],
    "counts": {"train": 4, "val": 5, "test": 4},
    "rejected": 0,
    "duplicates": 0,
    "files": {},
    "digest": "d" * 64,
}
MACHINE = {
    **dict.fromkeys(("python", "torch", "cpu", "accelerator"), "one"),
    "threads": 1,
    "runtime": {"accelerator": "cpu", "devices": 1, "nodes": 1, "precision": "32-true"},
    "packages": {"torch": "2.13.0"},
}
PROTOCOL = {
    "digest": "p",
    "seed": 0,
    "real": 2000,
    "samples": 2000,
    "reconstructions": 64,
    "extractor_digest": "e" * 64,
}
