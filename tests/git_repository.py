"""git, as somebody with a name and an address runs it."""

import os
import subprocess

ENV = os.environ | {f"GIT_{who}_{what}": "a@b.invalid" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}


def git(folder, *words):
    """Run git in a folder, and return what it prints."""
    done = subprocess.run(["git", *words], cwd=folder, env=ENV, capture_output=True, text=True, check=True)
    return done.stdout.strip()
