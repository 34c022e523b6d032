"""The command `pipeline`: a file a verb."""
