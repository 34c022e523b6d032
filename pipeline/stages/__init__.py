"""The stages of dvc.yaml, a file each; two stages meet only through files."""
