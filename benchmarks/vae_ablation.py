"""What makes lesson 01's conditional VAE draw better: the class, or the weight beta? Over five seeds.

Run in the course's environment, about six minutes on one core:

    python benchmarks/vae_ablation.py

All four VAEs have the settings of the lesson's conditional one, but for the class and beta. A linear probe
says how well the digit can be read from a latent that the encoder has drawn. It writes
results/vae_ablation.json, which lesson 01 shows.
"""

from dataclasses import replace

import torch
from common import ASKED, SEEDS, Data, Judged, rounded, split_of_lesson, write
from sklearn.linear_model import LogisticRegression

from course_lib.models import vae
from course_lib.syllabus import lesson
from course_lib.training import finish

PRESET = lesson("01_vae").settings("cpu")
SETTINGS = vae.VAESettings.of(PRESET.cvae)


def run(judged: Judged, data: Data, classes: int, beta: float, seed: int) -> dict[str, float]:
    """Train one VAE and measure 600 samples and the latents of it."""
    x, y, x_held, y_held = data
    given, given_held, asked = (y, y_held, ASKED) if classes else (None, None, None)
    torch.manual_seed(seed)
    model = vae.VAE(
        SETTINGS.latent_dim, SETTINGS.width, SETTINGS.depth, SETTINGS.dropout, classes=classes
    )
    finish(vae.fit(model, (x, y) if classes else (x,), replace(SETTINGS, beta=beta), seed=seed))
    with torch.no_grad():
        bound = torch.stack([model.elbo(x_held, given_held).mean() for _ in range(16)]).mean()
        z, z_held = (
            vae.reparameterize(mu, log_var, torch.randn_like(mu)).numpy()
            for mu, log_var in (model.encode(x, given), model.encode(x_held, given_held))
        )
        figures = judged.figures(vae.draw(model.sample(600, asked)), asked)
    probe = LogisticRegression(max_iter=2000).fit(z, y.numpy())
    row = {"seed": seed, "held_out_elbo": bound.item(), "digit_read_from_latent": 0.0, **figures}
    row["digit_read_from_latent"] = probe.score(z_held, y_held.numpy())
    print(f"classes {classes}, beta {beta:g}", rounded(row), flush=True)
    return row


if __name__ == "__main__":
    torch.set_num_threads(1)
    data = split_of_lesson()
    judged = Judged(data, seed=0)
    results = {
        f"{'given the digit' if classes else 'without'}, beta {beta:g}": [
            run(judged, data, classes, beta, seed) for seed in SEEDS
        ]
        for classes in (0, 10)
        for beta in (1.0, SETTINGS.beta)
    }
    write("vae_ablation", PRESET, {}, results)
