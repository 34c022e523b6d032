"""The stages of dvc.yaml, a file each; two stages meet only through files.

A stage that `dvc` began, or another process of its training, does not outlive that. The watch begins here, before a
stage's own imports, which take seconds in which its parent may be gone.
"""

import gc
import os

from pipeline.system import distributed, processes

# imports make a million objects and little rubbish, and to look for it takes a tenth of their seconds: not at all until
# `run` begins, and seldom after it, since more is imported then
gc.disable()
gc.set_threshold(50_000)

if "DVC_STAGE" in os.environ or not distributed.leads():
    processes.end_with_parent()
