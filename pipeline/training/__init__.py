"""A training: the LightningModule, the Trainer, checkpoints, and what outlives a kill."""
