"""Files, locks, processes, errors and whatever else knows nothing of data or models."""
