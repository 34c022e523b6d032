"""From a source to arrays: duplicates, splits, the prepared data of a workspace, and their batches."""
