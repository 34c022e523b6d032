"""The stages of dvc.yaml, a file each; two stages meet only through files."""

from pipeline import processes

# before a stage's own imports, which take seconds in which its parent may be gone
processes.end_with_whoever_waits()
