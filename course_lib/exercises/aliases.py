"""Former ids of exercises. They stay valid in checks, markers, records and private case files."""

FORMER = {  # former id: today's
    "vae.kl": "vae.kl_divergence",
    "vae.interpolate": "vae.conditional_elbo",  # the exercise that took its place in lesson 01
    "diffusion.loss": "diffusion.diffusion_loss",
    "diffusion.guide": "diffusion.classifier_free_guidance",
    "mode_collapse.high_quality": "mode_collapse.high_quality_share",
    "cures.with_deviation": "cures.minibatch_standard_deviation",
    "cures.unrolled": "cures.unrolled_discriminator",
    "cures.acceptance": "cures.acceptance_probability",
    "model_collapse.extinction": "model_collapse.extinction_probability",
    "model_collapse.mean_spread": "model_collapse.gaussian_mean_spread",
    "fidelity.extrapolate": "fidelity.extrapolate_to_infinite_size",
    "bias.share_z": "bias.share_z_score",
}
_ORIGINAL = {today: former for former, today in FORMER.items()}


def current(exercise_id: str) -> str:
    """Today's id of the exercise that has, or once had, this id; an unknown id comes back as it is."""
    return FORMER.get(exercise_id, exercise_id)


def original(exercise_id: str) -> str:
    """The id under which the exercise was first published.

    What must never change is derived from it: the seed of the hidden cases and the ids of cells.
    """
    return _ORIGINAL.get(exercise_id, exercise_id)
