"""The command `pipeline`, one module per verb."""
