"""From a source to arrays: deduplication, splits, the prepared data of a workspace, and their batches."""
