"""Generative models in plain PyTorch: families, networks, likelihoods, priors, and a model on disk."""
