"""Utilities that depend on neither data nor models: files, locks, processes, errors, random streams."""
