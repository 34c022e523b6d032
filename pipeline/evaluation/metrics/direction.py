"""The direction in which each score is better."""

from __future__ import annotations

LOWER_IS_BETTER = frozenset(
    (
        "fid_in_domain",
        "fid_infinity_in_domain",
        "kid_in_domain",
        "fid_inception",
        "fid_infinity_inception",
        "kid_inception",
        "class_distance",
        "memorisation",
        "reconstruction_loss",
        "bits_per_dim",
        "bits_per_byte",
        "frechet_in_domain",
        "frechet_infinity_in_domain",
        "cross_entropy",
        "gram_distance",
        "kind_distance",
        "centroid_distance",
        "loudness_distance",
        "log_spectral_distance",
        "longest_copy",
    )
)
HIGHER_IS_BETTER = frozenset(
    (
        "precision",
        "recall",
        "density",
        "coverage",
        "class_confidence",
        "psnr",
        "ssim",
        "elbo",
        "iw_elbo",
        "parses",
        "parsing_prefix",
    )
)
"""Scores with a better direction."""
NO_DIRECTION = frozenset(
    ("active_units", "distinct_1", "distinct_2", "distinct_3", "edit_similarity", "kl", "log_px_z")
)
"""Scores without a better direction."""
ASIDE = frozenset(
    (
        "fid_infinity_in_domain",
        "fid_infinity_inception",
        "frechet_infinity_in_domain",
        "density",
        "class_confidence",
        "elbo",
        "iw_elbo",
    )
)
"""Scores that restate another score of the same evaluation."""
COMPARED = (LOWER_IS_BETTER | HIGHER_IS_BETTER) - ASIDE
"""The few scores that tables of many models show side by side."""
