"""Training: the LightningModule, the Trainer, checkpoints, and the state from which a killed training resumes."""
