"""Settings of the smallest families that have every feature of large ones."""

SETTINGS = {
    "vae": {
        "latent_dim": 4,
        "width": 8,
        "blocks": 1,
        "learning_rate": 3e-3,
        "beta": 1.0,
        "warmup": 0.0,
        "likelihood": "gaussian",
        "prior": "mixture",
        "components": 3,
        "free_bits": 0.5,
        "context": 3,
        "hidden": 0.5,
        "temperature": 1.0,
    },
    "gan": {
        "latent_dim": 4,
        "width": 8,
        "blocks": 1,
        "learning_rate": 2e-4,
        "critic_learning_rate": 4e-4,
        "projection_steps": 20,
        "projection_starts": 2,
        "penalty": 0.05,
        "temperature": 1.0,
    },
}
