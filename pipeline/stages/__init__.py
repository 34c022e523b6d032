"""The stages of dvc.yaml, one module each; stages exchange data only through files.

A stage that `dvc` started ends with it, and each further process of a training ends with the one that started it. The
watch starts here, before a stage's own imports: they take seconds, during which the parent may end.
"""

import gc
import os

from pipeline.system import distributed, processes

# imports create a million objects and little garbage, and collecting it takes a tenth of their time: so collection is
# off until `run` starts, and rare afterwards, since more is imported then
gc.disable()
gc.set_threshold(50_000)

if "DVC_STAGE" in os.environ or not distributed.leads():
    processes.end_with_parent()
