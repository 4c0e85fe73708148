"""The exercises of lesson 01: the parts of a variational autoencoder."""

import math

import matplotlib.pyplot as plt
import numpy as np
import torch
from torch import Tensor, nn

from course_lib.exercises.exercise import Exercise, Inputs
from course_lib.exercises.slips import returning, slip
from course_lib.models import vae
from course_lib.plots import BLUE, GREEN, GREY, ORANGE

# --- reparameterisation -----------------------------------------------------------------------


def _reparameterize_cases(seed: int) -> Inputs:
    rng = np.random.default_rng(seed)

    def case(rows, latents, log_var):
        shape = (rows, latents)
        return {
            "mu": rng.normal(0, 2, shape),
            "log_var": np.broadcast_to(log_var, shape),
            "noise": rng.standard_normal(shape),
        }

    return {
        "standard deviation 1": case(3, 2, 0.0),
        "standard deviations below and above 1": case(4, 3, [-2.0, 0.5, 1.5]),
        "nearly no noise": case(2, 5, -12.0),
    }


def _reparameterize_probe(answer, mu, log_var, noise):
    """The sample, and the gradients that reach mu and log_var through its sum of squares."""
    mu, log_var = mu.requires_grad_(), log_var.requires_grad_()
    z = answer(mu, log_var, noise)
    if not isinstance(z, Tensor) or not z.requires_grad:
        return {"z": z, "gradient of mu": None, "gradient of log_var": None}
    gradients = torch.autograd.grad((z**2).sum(), (mu, log_var), allow_unused=True)
    return {"z": z, "gradient of mu": gradients[0], "gradient of log_var": gradients[1]}


def _reparameterize_picture(answer):
    generator = torch.Generator().manual_seed(0)
    noise = torch.randn(400, 2, generator=generator)
    mu, log_var = torch.tensor([2.0, 1.0]), torch.tensor([0.0, -2.0])
    z = answer(mu.expand(400, 2), log_var.expand(400, 2), noise)
    fig, ax = plt.subplots(figsize=(4, 3))
    ax.plot(*noise.T, "s", color=BLUE, markersize=2, linestyle="none", label="noise")
    ax.plot(*z.T, "o", color=ORANGE, markersize=2, linestyle="none", label="z")
    ax.set(title="Noise, moved and scaled", xlabel="z1", ylabel="z2", aspect="equal")
    ax.legend(markerscale=3, fontsize=8)
    return fig, (
        "A round cloud of noise around (0, 0), and the cloud of z around (2, 1), as wide as the "
        "noise in the first direction and a third as wide in the second."
    )


REPARAMETERIZE = Exercise(
    id="vae.reparameterize",
    title="The reparameterisation trick",
    points=1,
    minutes=5,
    difficulty=1,
    task="Turn standard normal noise into a sample of N(mu, exp(log_var)).",
    hints=(
        "A normal variable is its mean plus its standard deviation times standard normal noise.",
        "log_var is the logarithm of the variance, so the standard deviation is exp(log_var / 2).",
    ),
    reference=vae.reparameterize,
    inputs=_reparameterize_cases,
    probe=_reparameterize_probe,
    picture=_reparameterize_picture,
    mistakes={
        (
            "You multiplied the noise by the variance, exp(log_var). The standard deviation is its "
            "square root, exp(log_var / 2)."
        ): slip("0.5 * log_var", "log_var"),
        (
            "You multiplied the noise by log_var itself. It is a logarithm: the standard deviation is "
            "exp(log_var / 2)."
        ): slip("torch.exp(0.5 * log_var)", "log_var"),
        "The mean is missing: z scatters around mu, not around zero.": slip("mu + torch", "torch"),
        "This is mu alone, without noise: an autoencoder, not a variational one.": slip(
            "torch.exp(0.5 * log_var) * noise", "0 * log_var"
        ),
        (
            "The sample is right, but no gradient reaches mu and log_var. Leave out detach() and "
            "torch.no_grad(): the gradient is what the trick is for."
        ): returning("(mu + torch.exp(0.5 * log_var) * noise).detach()"),
        (
            "You doubled log_var. Half of it is the logarithm of the standard deviation: exp(log_var / "
            "2)."
        ): slip("0.5 * log_var", "2 * log_var"),
        (
            "You divided the noise by the standard deviation. Multiply: exp(log_var / 2), without a "
            "minus sign."
        ): slip("0.5 * log_var", "-0.5 * log_var"),
        "You added the noise to the standard deviation. Multiply the two, then add mu.": returning(
            "mu + torch.exp(0.5 * log_var) + noise"
        ),
        "You scaled the mean and not the noise. The standard deviation multiplies the noise.": returning(
            "mu * torch.exp(0.5 * log_var) + noise"
        ),
        (
            "You subtracted the noise. The check compares with mu plus the standard deviation times "
            "this noise."
        ): returning("mu - torch.exp(0.5 * log_var) * noise"),
        (
            "You added mu before you scaled, so the mean is scaled too. Scale the noise first, then add "
            "mu."
        ): returning("(mu + noise) * torch.exp(0.5 * log_var)"),
        (
            "The sample is right, but no gradient reaches log_var. Leave out detach() on the standard "
            "deviation."
        ): slip("torch.exp(0.5 * log_var)", "torch.exp(0.5 * log_var).detach()"),
        "The sample is right, but no gradient reaches mu. Leave out detach() on the mean.": slip(
            "mu + torch", "mu.detach() + torch"
        ),
        (
            "You drew noise of your own. Use the noise that is given, so that the result can be "
            "repeated."
        ): slip("* noise", "* torch.randn_like(noise)"),
        (
            "The noise is missing: the same z comes out every time. Multiply the standard deviation by "
            "it."
        ): returning("mu + torch.exp(0.5 * log_var)"),
        "You halved log_var, but it is still a logarithm: take exp() of it.": slip(
            "torch.exp(0.5 * log_var)", "0.5 * log_var"
        ),
    },
    alternatives=(
        returning("torch.addcmul(mu, noise, log_var.exp().sqrt())"),
        returning("noise.mul(torch.exp(log_var / 2)).add(mu)"),
        returning(
            "torch.distributions.Normal(mu, (log_var / 2).exp()).icdf(torch.special.ndtr(noise))"
        ),
    ),
)

# --- KL divergence ----------------------------------------------------------------------------


def _kl_cases(seed: int) -> Inputs:
    rng = np.random.default_rng(seed)

    def inputs(mu, log_var):
        return {"mu": mu, "log_var": log_var}

    return {
        "q equals the prior: the KL is 0": inputs(np.zeros((3, 2)), np.zeros((3, 2))),
        "a mean away from 0": inputs(rng.normal(0, 2, (4, 1)), np.zeros((4, 1))),
        "variances away from 1": inputs(np.zeros((4, 3)), rng.normal(0, 1.5, (4, 3))),
        "a batch of 5 with 6 latents": inputs(*rng.normal(0, 1, (2, 5, 6))),
    }


def _kl_picture(answer):
    mu, log_var = torch.meshgrid(
        torch.linspace(-3, 3, 121), torch.linspace(-4, 3, 141), indexing="xy"
    )
    kl = answer(mu.reshape(-1, 1), log_var.reshape(-1, 1)).reshape(mu.shape)
    fig, ax = plt.subplots(figsize=(4.2, 3))
    lines = ax.contour(mu, log_var, kl, levels=[0.1, 0.5, 1, 2, 4, 8], colors=BLUE)
    ax.clabel(lines, fmt="%g", fontsize=8)
    ax.plot(0, 0, "X", color=ORANGE, markersize=9, linestyle="none", label="prior: KL = 0")
    ax.set(xlabel="mu", ylabel="log_var", title="KL to the prior in nats, one latent")
    ax.legend(loc="lower right", fontsize=8)
    return fig, (
        "Contour lines of the KL divergence over mu and log_var, one latent: zero at (0, 0), "
        "rising on all sides, faster towards large variances than towards small ones."
    )


def _kl_by_library(mu: Tensor, log_var: Tensor) -> Tensor:
    q = torch.distributions.Normal(mu, torch.exp(0.5 * log_var))
    prior = torch.distributions.Normal(torch.zeros_like(mu), torch.ones_like(mu))
    return torch.distributions.kl_divergence(q, prior).sum(1)


KL = Exercise(
    id="vae.kl_divergence",
    title="The KL divergence to the prior",
    points=2,
    minutes=15,
    difficulty=3,
    task="Derive KL(q || p) for normal q and p, and return it for each image, in nats, from mu, log_var.",
    hints=(
        "The latents are independent, so the divergence of an image is the sum over its latents. For one "
        "latent log q(z) - log p(z) = ½ (z² - (z - μ)² / σ² - log σ²); the constants cancel.",
        "Take the mean over z from q: that of (z - μ)² is σ², and that of z² is μ² + σ². What is left "
        "holds μ², σ², 1 and log σ².",
        "KL = ½ (μ² + σ² − 1 − log σ²), where log σ² is log_var and σ² is log_var.exp(). Sum over the last "
        "dimension and keep the images: (n,).",
    ),
    reference=vae.kl_divergence,
    inputs=_kl_cases,
    picture=_kl_picture,
    mistakes={
        "The sign is turned round: a KL divergence is never negative.": slip("0.5 *", "-0.5 *"),
        "The factor 1/2 is missing.": slip("0.5 * ", ""),
        "You averaged over the latents. The divergences of independent latents add up: sum.": slip(
            ".sum(dim=-1)", ".mean(dim=-1)"
        ),
        "You summed over the batch as well. Each image has a divergence of its own.": slip(
            "dim=-1", ""
        ),
        "You averaged over the batch as well. Each image has a divergence of its own.": slip(
            ".sum(dim=-1)", ".sum(dim=-1).mean()"
        ),
        "You used the standard deviation, exp(log_var / 2), where the variance belongs.": slip(
            "log_var.exp()", "(log_var / 2).exp()"
        ),
        "You used log_var as if it were the variance: take exp(log_var) first.": slip(
            "log_var.exp() - 1 - log_var", "log_var - 1 - log_var.log()"
        ),
        "This is the other direction, KL(p || q). The bound needs KL(q || p).": returning(
            "0.5 * ((mu**2 + 1) * torch.exp(-log_var) - 1 + log_var).sum(dim=-1)"
        ),
        "The mean is not squared: the divergence has mu ** 2.": slip("mu**2", "mu"),
        "The 1 is missing. Without it the divergence of the prior to itself is not 0.": slip(
            "- 1 - log_var", "- log_var"
        ),
        "The term - log_var is missing. Without it a narrow q would cost nothing.": slip(
            "- 1 - log_var", "- 1"
        ),
        "log_var has the wrong sign outside of exp(): subtract it.": slip(
            "- 1 - log_var", "- 1 + log_var"
        ),
        "You summed over the images. Sum over the latents, the last dimension: dim=-1.": slip(
            "dim=-1", "dim=0"
        ),
        "The means do not count here: mu ** 2 is missing.": slip("mu**2 + ", ""),
        "These are bits. Nats need no division by log(2).": returning(
            "0.5 * (mu**2 + log_var.exp() - 1 - log_var).sum(dim=-1) / math.log(2)"
        ),
        "You doubled mu. Square it: mu ** 2.": slip("mu**2", "mu * 2"),
    },
    alternatives=(
        _kl_by_library,
        returning("-0.5 * (1 + log_var - mu.square() - torch.exp(log_var)).sum(1)"),
        returning("(torch.cosh(log_var) + torch.sinh(log_var) + mu * mu - log_var - 1).sum(1) / 2"),
    ),
)

# --- the ELBO ---------------------------------------------------------------------------------


def _elbo_cases(seed: int) -> Inputs:
    rng = np.random.default_rng(seed)

    def case(rows, beta=1.0, spread=1.0, zero_kl=False):
        scale = 0 if zero_kl else 1
        return {
            "x": rng.integers(0, 17, (rows, 64)).astype(float),
            "logits": rng.normal(0, spread, (rows, 64)),
            "mu": scale * rng.normal(0, 1, (rows, 4)),
            "log_var": scale * rng.normal(0, 1, (rows, 4)),
            "beta": beta,
        }

    return {
        "no divergence: the likelihood alone": case(3, zero_kl=True),
        "likelihood and divergence": case(5),
        "beta = 4": case(4, beta=4.0),
        "extreme logits": case(2, spread=40.0),
    }


def _elbo_by_library(x, logits, mu, log_var, beta=1.0):
    fit = torch.distributions.Binomial(16, logits=logits).log_prob(x).sum(-1)
    return fit - beta * _kl_by_library(mu, log_var)


def _elbo_picture(answer):
    """The trade: a sharper q costs more divergence, and here it buys a better fit."""
    log_var = torch.linspace(-8, -1, 60).unsqueeze(1)
    sigma = torch.exp(0.5 * log_var)
    x = torch.full((60, 64), 12.0)
    logits = 1.1 + 1.5 * sigma * torch.linspace(-1, 1, 64)
    mu = torch.zeros(60, 1)
    fig, ax = plt.subplots(figsize=(4.4, 3))
    for beta, colour, style in ((0.25, BLUE, "-"), (1.0, ORANGE, "--"), (4.0, GREEN, "-.")):
        values = answer(x, logits, mu, log_var, beta)
        best = int(values.argmax())
        ax.plot(log_var, values, color=colour, linestyle=style, label=f"beta = {beta:g}")
        ax.plot(log_var[best], values[best], "o", color=colour)
    ax.set(xlabel="log_var of q", ylabel="ELBO in nats", title="A larger beta prefers a wider q")
    ax.legend(fontsize=8)
    return fig, (
        "The ELBO of a toy image against log_var of q for beta 0.25, 1 and 4. Each curve has one "
        "maximum, marked; the larger beta is, the further right it lies."
    )


ELBO = Exercise(
    id="vae.elbo",
    title="The evidence lower bound",
    points=2,
    minutes=10,
    difficulty=2,
    task="Put log_likelihood and kl_divergence together into the bound of each image; beta weighs the "
    "divergence alone.",
    hints=(
        "The bound rewards an image that is likely given z, and charges for a q(z|x) that is far "
        "from the prior.",
        "ELBO = log p(x|z) - beta * KL(q(z|x) || p(z)), both terms of shape (n,).",
        "Call log_likelihood(x, logits) and kl_divergence(mu, log_var) and subtract.",
    ),
    reference=vae.elbo,
    inputs=_elbo_cases,
    rtol=1e-4,
    atol=1e-3,
    picture=_elbo_picture,
    mistakes={
        "You added the divergence. It is a cost: subtract it.": slip("- beta *", "+ beta *"),
        "This is the negative bound, a loss. The ELBO itself goes up as the model improves.": returning(
            "beta * kl_divergence(mu, log_var) - log_likelihood(x, logits)"
        ),
        "beta has no effect: multiply the divergence by it.": slip("beta * kl", "kl"),
        "beta multiplies the whole bound. It weighs the divergence only.": returning(
            "beta * (log_likelihood(x, logits) - kl_divergence(mu, log_var))"
        ),
        "You averaged over the batch. Return one bound for each image, of shape (n,).": returning(
            "(log_likelihood(x, logits) - beta * kl_divergence(mu, log_var)).mean()"
        ),
        "The divergence is missing: this is the likelihood alone.": returning(
            "log_likelihood(x, logits)"
        ),
        (
            "This takes pixels to be Bernoulli, black or white. Grey levels are binomial: use "
            "log_likelihood."
        ): slip(
            "log_likelihood(x, logits)",
            "-F.binary_cross_entropy_with_logits(logits, x / 16, reduction='none').sum(-1)",
        ),
        "You divided the divergence by beta. Multiply: a larger beta makes it cost more.": returning(
            "log_likelihood(x, logits) - kl_divergence(mu, log_var) / beta"
        ),
        (
            "You took the sigmoid of the logits first. log_likelihood does that inside: hand it the "
            "logits."
        ): slip("log_likelihood(x, logits)", "log_likelihood(x, torch.sigmoid(logits))"),
        "mu and log_var are in the wrong order: kl_divergence(mu, log_var).": slip(
            "kl_divergence(mu, log_var)", "kl_divergence(log_var, mu)"
        ),
        "You averaged the divergence over the batch. Each image pays for its own.": slip(
            "kl_divergence(mu, log_var)", "kl_divergence(mu, log_var).mean()"
        ),
        "You averaged the likelihood over the batch. Each image has its own.": slip(
            "log_likelihood(x, logits)", "log_likelihood(x, logits).mean()"
        ),
        (
            "This is the squared error of the grey levels. The bound needs the log-likelihood: "
            "log_likelihood(x, logits)."
        ): slip(
            "log_likelihood(x, logits)",
            "-(x - 16 * torch.sigmoid(logits)).square().sum(dim=-1)",
        ),
        (
            "You divided the grey levels by 16 first. log_likelihood takes them as they are, from 0 to "
            "16."
        ): slip("log_likelihood(x, logits)", "log_likelihood(x / 16, logits)"),
    },
    alternatives=(
        _elbo_by_library,
        returning("-(beta * kl_divergence(mu, log_var) - log_likelihood(x, logits))"),
        returning("log_likelihood(x, logits).sub(kl_divergence(mu, log_var).mul(beta))"),
    ),
)

# --- one training step ------------------------------------------------------------------------


class _Hill(nn.Module):
    """A stand-in for a VAE whose ELBO can be worked out by hand: -|x - w|^2 for each row of x."""

    def __init__(self, w: Tensor):
        super().__init__()
        self.w = nn.Parameter(w.clone())

    def elbo(self, x: Tensor) -> Tensor:
        return -((x - self.w) ** 2).sum(dim=-1)


def _train_step_cases(seed: int) -> Inputs:
    rng = np.random.default_rng(seed)

    def case(rows, steps, optimizer):
        return {
            "x": rng.normal(1, 1, (rows, 3)),
            "w": rng.normal(0, 1, 3),
            "steps": steps,
            "optimizer": optimizer,
        }

    return {
        "one step of gradient descent": case(4, 1, "SGD"),
        "three steps, one after the other": case(6, 3, "SGD"),
        "five steps of Adam": case(8, 5, "Adam"),
    }


def _train_step_probe(answer, x, w, steps, optimizer):
    model = _Hill(w)
    optimizer = {"SGD": torch.optim.SGD, "Adam": torch.optim.Adam}[optimizer](
        model.parameters(), lr=0.05
    )
    losses = [answer(model, optimizer, x) for _ in range(steps)]
    return {"loss": losses[-1], "weights": model.w.data.clone()}


def _by_autograd(model, optimizer, x):
    parameters = list(model.parameters())
    loss = -model.elbo(x).sum() / len(x)
    for parameter, gradient in zip(parameters, torch.autograd.grad(loss, parameters), strict=True):
        parameter.grad = gradient
    optimizer.step()
    return loss.item()


_UNCHANGED = (
    "The weights never change. Call loss.backward(), then optimizer.step(), with no zero_grad() "
    "between the two."
)


def _train_step_picture(answer):
    x = torch.tensor([[0.0, 0.0], [1.0, 1.0], [2.0, -1.0]])
    model = _Hill(torch.tensor([3.0, -2.0]))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
    losses = [answer(model, optimizer, x) for _ in range(40)]
    best = -_Hill(x.mean(dim=0)).elbo(x).mean().item()
    fig, ax = plt.subplots(figsize=(4.4, 3))
    ax.axhline(best, color=GREY, linestyle="--", label="the least possible")
    ax.plot(losses, "o-", color=BLUE, markersize=3, label="loss = -ELBO")
    ax.set(xlabel="step", ylabel="loss", title="Forty steps on a toy model", ylim=(0, None))
    ax.legend(fontsize=8)
    return fig, (
        "The loss of a toy model over forty steps, one mark a step: it falls steeply at first and "
        "then flattens onto a dashed line, the least loss that is possible."
    )


TRAIN_STEP = Exercise(
    id="vae.train_step",
    title="One training step",
    points=2,
    minutes=10,
    difficulty=2,
    task="Move the model one step towards a higher mean ELBO and return the loss from before the step, as "
    "a float.",
    hints=(
        "Optimisers go downhill. What do you minimise in order to make the bound larger?",
        "loss = -model.elbo(x).mean(). Then three calls: clear the old gradients, compute the new "
        "ones, step.",
        "optimizer.zero_grad(); loss.backward(); optimizer.step(); and return loss.item().",
    ),
    reference=vae.train_step,
    inputs=_train_step_cases,
    probe=_train_step_probe,
    picture=_train_step_picture,
    mistakes={
        "The model walks downhill on the ELBO. Minimise its negative.": slip("-model", "model"),
        "The gradients of earlier steps add up: call optimizer.zero_grad() before backward().": slip(
            "optimizer.zero_grad()", "pass"
        ),
        _UNCHANGED: (
            slip("optimizer.step()", "pass"),
            slip("loss.backward()", "loss.backward()\n    optimizer.zero_grad()"),
        ),
        "You summed over the batch. Take the mean, or the step grows with the batch size.": slip(
            ".mean()", ".sum()"
        ),
        "The optimizer takes two steps with one gradient. Call optimizer.step() once.": slip(
            "optimizer.step()", "optimizer.step()\n    optimizer.step()"
        ),
        "You returned the mean ELBO. The loss is its negative.": returning("-loss.item()"),
        (
            "You computed the loss again after the step. Return the loss from before it, which the step "
            "was made with."
        ): returning("-model.elbo(x).mean().item()"),
        (
            "This is the loss as a tensor, which keeps the whole computation in memory. Return a "
            "number: loss.item()."
        ): returning("loss"),
        "You divided the mean by the batch size once more. The mean is the loss already.": returning(
            "loss.item() / len(x)"
        ),
        "You used only the first image of the batch. Take the mean over all of x.": slip(
            "model.elbo(x)", "model.elbo(x[:1])"
        ),
    },
    alternatives=(
        slip(
            "    optimizer.zero_grad()\n",
            "",
            "optimizer.step()",
            "optimizer.step()\n    optimizer.zero_grad(set_to_none=False)",
        ),
        _by_autograd,
        slip(
            "loss = -model.elbo(x).mean()",
            "loss = torch.mean(-1 * model.elbo(x))",
            "loss.item()",
            "float(loss.detach())",
        ),
    ),
)

# --- sampling ---------------------------------------------------------------------------------


def _sample_cases(seed: int) -> Inputs:
    rng = np.random.default_rng(seed)

    def case(count, latent_dim):
        weights = rng.normal(0, 1, (latent_dim, 64)) / math.sqrt(latent_dim)
        return {"weights": weights, "bias": rng.normal(0, 2, 64), "count": count}

    many, few = case(20_000, 2), case(2000, 16)
    # The quick one comes first, since the mistakes are compared with a wrong answer case by case.
    return {"2000 samples, 16 latents": few, "20000 samples, 2 latents": many}


def _sample_probe(answer, weights, bias, count):
    """What the decoder was fed with, and whether its logits became grey levels. The decoder is
    linear. Statistics take the place of numbers, since the answer draws its own noise."""
    fed = []

    class Decoder(nn.Module):  # and no function, since an answer may say decoder.eval()
        def forward(self, z: Tensor) -> Tensor:
            fed.append(z)
            return (z @ weights + bias).requires_grad_()

    images = answer(Decoder(), count, len(weights))
    if not isinstance(images, Tensor) or not fed:
        return {"images": images}
    z = torch.cat([part.reshape(-1, len(weights)) for part in fed])
    error = (
        (images.detach() - 16 * torch.sigmoid(z @ weights + bias)).abs().max()
        if (images.shape == (len(z), 64))
        else torch.tensor(math.inf)
    )
    return {
        "number and size of the images": torch.tensor(images.shape),
        "number and size of the latents": torch.tensor(z.shape),
        "mean of the latents": z.mean().detach(),
        "standard deviation of the latents": z.std().detach(),
        "distance of the latents from a normal distribution": _distance_from_normal(z.detach()),
        "fourth moment of the latents": (z.detach() ** 4).mean() / 6,  # 0.5, give or take 0.01
        "correlation of the latents of an image": _largest_correlation(z.detach()),
        "correlation of one image with the next": _largest_correlation(z.detach(), 1),
        "share of different images": torch.tensor(len(z.unique(dim=0)) / max(len(z), 1)),
        "distance of the images from 16 sigmoid(logits)": error,
        "mean image, as probabilities": images.detach().float().mean(dim=0) / 16,
        "images that carry a gradient": int(images.requires_grad),
    }


def _distance_from_normal(z: Tensor) -> Tensor:
    """The largest distance between the two distribution functions, each latent for itself, in units
    in which less than 0.06 is chance: that of Kolmogorov and Smirnov times sqrt(n) / 40, where 2.4
    happens once in 50,000 times."""
    order = torch.special.ndtr(z.double().sort(dim=0).values)
    steps = torch.linspace(0, 1, len(z) + 1, dtype=torch.float64).unsqueeze(1)
    gap = torch.maximum((order - steps[:-1]).abs(), (order - steps[1:]).abs()).max()
    together = torch.special.ndtr(z.double().flatten().sort().values)
    steps = torch.linspace(0, 1, z.numel() + 1, dtype=torch.float64)
    gap_together = torch.maximum((together - steps[:-1]).abs(), (together - steps[1:]).abs()).max()
    worst = torch.maximum(gap * math.sqrt(len(z)), gap_together * math.sqrt(z.numel()))
    return (worst / 40).float()


def _largest_correlation(z: Tensor, lag: int = 0) -> Tensor:
    """The largest correlation of two latents, or of each with itself `lag` rows below, in units in
    which less than 0.06 is chance: times sqrt(n) / 100."""
    z = (z - z.mean(dim=0)) / (z.std(dim=0) + 1e-6)
    pairs = (z[lag:] * z[:-lag]).mean(dim=0) if lag else torch.triu(z.T @ z / len(z), diagonal=1)
    return pairs.abs().max() * math.sqrt(len(z)) / 100


@torch.no_grad()
def _sample_in_batches(decoder, count, latent_dim):
    parts = torch.normal(0.0, 1.0, (count, latent_dim)).split(100)
    return torch.cat([16 / (1 + torch.exp(-decoder(z))) for z in parts])


def _sample_by_distribution(decoder, count, latent_dim):
    prior = torch.distributions.Normal(torch.zeros(latent_dim), torch.ones(latent_dim))
    return decoder(prior.sample((count,))).sigmoid().mul(16).detach()


def _sample_picture(answer):
    """One latent, one pixel, and a decoder that hands z on as the logit: the density is known."""
    with torch.random.fork_rng(devices=[]):  # the answer draws its own noise
        torch.default_generator.manual_seed(0)
        grey = answer(nn.Identity(), 4000, 1)
    level = torch.linspace(0.1, 15.9, 200)
    z = torch.logit(level / 16)
    density = torch.exp(-0.5 * z**2) / math.sqrt(2 * math.pi) * 16 / (level * (16 - level))
    fig, ax = plt.subplots(figsize=(4.4, 3))
    bins = torch.linspace(0, 16, 33)
    ax.hist(grey.flatten(), bins, density=True, color=BLUE, alpha=0.6, label="4,000 samples")
    ax.plot(level, density, color=ORANGE, linestyle="--", label="exact density")
    ax.set(xlabel="grey level", ylabel="density", title="A toy decoder with the logit z")
    ax.set(xticks=range(0, 17, 4), ylim=(0, 0.14))
    ax.legend(fontsize=8)
    return fig, (
        "A histogram of 4,000 sampled grey levels of one pixel, between 0 and 16 and symmetric "
        "around 8, with the exact density of 16 sigmoid(z) as a dashed curve along its top."
    )


SAMPLE = Exercise(
    id="vae.sample",
    title="New digits from the prior",
    points=1,
    minutes=5,
    difficulty=1,
    task="Draw latents from the prior, decode them, and return mean grey levels from 0 to 16, without a "
    "gradient.",
    hints=(
        "A new image needs no encoder: draw z from p(z) = N(0, I), one row for each image.",
        "The decoder gives logits. A binomial pixel with 16 trials has the mean 16 sigmoid(logit).",
        "z = torch.randn(count, latent_dim); work under torch.no_grad(), nothing is trained here.",
    ),
    reference=vae.sample,
    inputs=_sample_cases,
    probe=_sample_probe,
    rtol=0.0,
    atol=0.06,
    picture=_sample_picture,
    mistakes={
        "torch.rand is uniform between 0 and 1. The prior is normal: torch.randn.": slip(
            "torch.randn", "torch.rand"
        ),
        (
            "The latents have the mean and the spread of the prior, but they are uniform. The prior is "
            "normal: torch.randn."
        ): slip(
            "torch.randn(count, latent_dim)",
            "math.sqrt(12) * (torch.rand(count, latent_dim) - 0.5)",
        ),
        (
            "These are logits. The sigmoid makes probabilities of them, and 16 times a probability is a "
            "mean grey level."
        ): returning("decoder(z)"),
        "These are probabilities from 0 to 1. Grey levels go up to 16.": slip("16 * ", ""),
        "All rows are the same: each image needs a draw of its own.": slip(
            "torch.randn(count, latent_dim)", "torch.randn(1, latent_dim).expand(count, -1)"
        ),
        "All latents are 0. That is the middle of the prior, not a sample of it.": slip(
            "torch.randn", "torch.zeros"
        ),
        "The images still carry a gradient. Nothing is trained here: work under torch.no_grad().": slip(
            "@torch.no_grad()\n", ""
        ),
        "tanh goes from -1 to 1. A probability comes from the sigmoid.": slip(
            "torch.sigmoid", "torch.tanh"
        ),
        "You scaled to 255. The grey levels of these images go up to 16.": slip(
            "16 * torch", "255 * torch"
        ),
        "You rounded. Return the mean grey levels as they are, with their fractions.": returning(
            "(16 * torch.sigmoid(decoder(z))).round()"
        ),
        "These are draws of grey levels. Return their means: 16 times the probability.": returning(
            "torch.distributions.Binomial(16, logits=decoder(z)).sample()"
        ),
        (
            "A softmax shares one probability among all pixels. Each pixel has its own: use the "
            "sigmoid."
        ): returning("16 * torch.softmax(decoder(z), dim=-1)"),
        (
            "All latents of an image are the same number. Draw each of them: torch.randn(count, "
            "latent_dim)."
        ): slip("torch.randn(count, latent_dim)", "torch.randn(count, 1).expand(-1, latent_dim)"),
    },
    alternatives=(
        _sample_in_batches,
        _sample_by_distribution,
        slip("torch.randn(count, latent_dim)", "torch.randn(latent_dim, count).T"),
        slip("z = torch", "decoder.eval()\n    z = torch"),
    ),
)

# --- the conditional model ----------------------------------------------------------------------


def _conditional_cases(seed: int) -> Inputs:
    rng = np.random.default_rng(seed)

    def case(rows, latents, beta=1.0):
        return {
            "into_code": rng.normal(0, 0.15, (74, 2 * latents)),
            "into_logits": rng.normal(0, 0.5, (latents + 10, 64)),
            "x": rng.integers(0, 17, (rows, 64)).astype(float),
            "y": rng.permutation(10)[:rows],
            "noise": rng.standard_normal((rows, latents)),
            "beta": beta,
        }

    return {
        "two latents": case(5, 2),
        "four latents": case(7, 4),
        "beta = 3": case(4, 3, beta=3.0),
    }


def _conditional_probe(answer, into_code, into_logits, x, y, noise, beta):
    """The bounds, and whether each network was asked with rows of the width that it takes."""
    widths = {}

    def network(name, weights):
        def ask(rows):
            widths[name] = rows.shape[-1]
            if rows.shape[-1] != len(weights):  # so that the answer is told what is wrong with it
                rows = torch.zeros(len(rows), len(weights))
            return rows @ weights

        return ask

    found = answer(
        network("encoder", into_code), network("decoder", into_logits), x, y, noise, beta
    )
    return {
        "columns that the encoder gets": widths.get("encoder", 0),
        "columns that the decoder gets": widths.get("decoder", 0),
        "bounds": found,
    }


def _conditional_by_hand(encoder, decoder, x, y, noise, beta=1.0):
    told = torch.eye(10)[y]
    code = encoder(torch.hstack([2 * x / 16 - 1, told]))
    mu, log_var = code[:, : noise.shape[1]], code[:, noise.shape[1] :]
    logits = decoder(torch.hstack([mu + (log_var / 2).exp() * noise, told]))
    return _elbo_by_library(x, logits, mu, log_var, beta)


def _conditional_by_scatter(encoder, decoder, x, y, noise, beta=1.0):
    told = torch.zeros(len(x), 10).scatter(1, y[:, None], 1.0)
    mu, log_var = encoder(torch.cat((x / 8 - 1, told), -1)).split(noise.shape[1], dim=-1)
    z = mu + log_var.mul(0.5).exp() * noise
    logits = decoder(torch.cat((z, told), -1))
    return vae.log_likelihood(x, logits) - beta * vae.kl_divergence(mu, log_var)


def _conditional_row_by_row(encoder, decoder, x, y, noise, beta=1.0):
    rows = []
    for image, digit, epsilon in zip(x, y, noise, strict=True):
        told = torch.tensor([float(k == digit) for k in range(10)])
        mu, log_var = encoder(torch.cat([image / 8 - 1, told])[None]).chunk(2, dim=1)
        z = vae.reparameterize(mu, log_var, epsilon[None])
        logits = decoder(torch.cat([z, told[None]], dim=1))
        rows.append(vae.elbo(image[None], logits, mu, log_var, beta)[0])
    return torch.stack(rows)


def _conditional_picture(answer):
    """A decoder that draws a bar for each digit: the bound is high where the right digit is told."""
    bars = torch.full((10, 64), 2.0)
    for digit in range(10):
        bars[digit, 6 * digit : 6 * digit + 10] = 14.0
    logits = torch.logit(bars / 16)
    weights = torch.cat([torch.zeros(2, 64), logits])
    told = torch.arange(10)
    values = torch.stack(
        [
            answer(
                lambda rows: torch.zeros(len(rows), 4),
                lambda rows: rows @ weights,
                bars,
                (told + shift) % 10,
                torch.zeros(10, 2),
            )
            for shift in range(10)
        ]
    ).mean(dim=1)
    fig, ax = plt.subplots(figsize=(4.4, 2.8))
    ax.bar(range(10), values, color=[BLUE] + [GREY] * 9)
    ax.set(
        xlabel="digit told minus true digit", ylabel="bound in nats", title="The right digit helps"
    )
    return fig, (
        "The mean bound of ten images of bars against the difference between the digit told and the "
        "true one: it is by far the highest at 0, where the right digit is told."
    )


CONDITIONAL_ELBO = Exercise(
    id="vae.conditional_elbo",
    title="The bound given the digit",
    points=2,
    minutes=12,
    difficulty=2,
    task="Return the bound of each image given its digit: encoder and decoder both get the digit as ten "
    "one-hot columns behind their input. The encoder's input is x / 8 - 1.",
    hints=(
        "F.one_hot(y, 10).to(x) makes the ten columns, and torch.cat([a, b], dim=1) puts them behind a.",
        "The encoder gets the pixels from -1 to 1, x / 8 - 1, and the digit. Its output has mu and log_var "
        "beside each other: .chunk(2, dim=1).",
        "The decoder gets z = reparameterize(mu, log_var, noise) and the digit. The rest is your elbo.",
    ),
    reference=vae.conditional_elbo,
    inputs=_conditional_cases,
    probe=_conditional_probe,
    rtol=1e-4,
    atol=1e-2,
    picture=_conditional_picture,
    mistakes={
        "The encoder does not get the digit: put its ten columns behind the pixels.": slip(
            "torch.cat([x / 8 - 1, told], dim=1)", "x / 8 - 1"
        ),
        "The decoder does not get the digit: put its ten columns behind z.": slip(
            "torch.cat([z, told], dim=1)", "z"
        ),
        "The encoder gets the digit before the pixels. It expects it behind them.": slip(
            "[x / 8 - 1, told]", "[told, x / 8 - 1]"
        ),
        "The decoder gets the digit before z. It expects it behind z.": slip(
            "[z, told]", "[told, z]"
        ),
        "The encoder gets grey levels from 0 to 16. It expects x / 8 - 1, from -1 to 1.": slip(
            "x / 8 - 1", "x"
        ),
        "The decoder gets mu, the middle of q. The bound needs a draw z, with the noise.": slip(
            "[z, told]", "[mu, told]"
        ),
        "mu and log_var are swapped: the encoder gives mu first.": slip(
            "mu, log_var = encoder", "log_var, mu = encoder"
        ),
        "beta has no effect: hand it on to elbo.": slip("log_var, beta)", "log_var)"),
        "This is the negative bound, a loss. Return the bound itself.": slip(
            "return elbo", "return -elbo"
        ),
        "You averaged over the images. Return one bound for each, of shape (n,).": returning(
            "elbo(x, decoder(torch.cat([z, told], dim=1)), mu, log_var, beta).mean()"
        ),
        "The digit stands there as one number. Ten columns, one of them 1, tell it without an order.": slip(
            "F.one_hot(y, 10).to(x)", "y[:, None].to(x)"
        ),
        "The columns of the digit hold -1 and 1. They should hold 0 and 1.": slip(
            "F.one_hot(y, 10).to(x)", "2 * F.one_hot(y, 10).to(x) - 1"
        ),
        "There is a column too many: ten digits, 0 to 9, have ten columns.": slip(
            "F.one_hot(y, 10)", "F.one_hot(y, 11)"
        ),
        "Each image was told the digit of another one. Keep rows and digits together.": slip(
            "F.one_hot(y, 10)", "F.one_hot(y.flip(0), 10)"
        ),
        "The column is one too far: digit 0 has the first column, index 0.": slip(
            "F.one_hot(y, 10)", "F.one_hot((y + 1) % 10, 10)"
        ),
    },
    alternatives=(_conditional_by_hand, _conditional_by_scatter, _conditional_row_by_row),
)

# --- active units -----------------------------------------------------------------------------


def _active_units_cases(seed: int) -> Inputs:
    """Eight models a case, each with some active latents at random: eight small numbers together
    cannot be guessed."""
    rng = np.random.default_rng(seed)

    def case(active, inactive, offset=0.0, latents=6, threshold=0.01):
        is_active = rng.random((8, 1, latents)) < rng.random((8, 1, 1))
        spread = np.where(is_active, rng.uniform(*active, is_active.shape), inactive)
        mean = offset * rng.choice([-1, 1], is_active.shape)
        mu = rng.normal(0, 1, (8, 400, latents)) * spread + mean
        return {"mu": mu, "threshold": threshold}

    return {
        "active or not": case((0.5, 1.2), 0.01),
        "collapsed: hardly any active": case((0.01, 0.15), 0.005),
        "constant, but not at zero": case((0.5, 1.0), 0.02, offset=1.5),
        "standard deviations of 0.05": case((0.5, 1.0), 0.05, latents=4),
        "a threshold of 0.2": case((0.6, 1.2), 0.3, threshold=0.2),
    }


def _active_units_probe(answer, mu, threshold):
    """The count for each of the models, or what came in its place."""
    return {f"model {i}": answer(part, threshold) for i, part in enumerate(mu, 1)}


def _active_units_picture(answer):
    spreads = torch.tensor([0.02, 1.0, 0.05, 0.3, 0.01, 0.7])
    mu = torch.randn(400, 6, generator=torch.Generator().manual_seed(0)) * spreads
    fig, ax = plt.subplots(figsize=(4.4, 3))
    for j, variance in enumerate(mu.var(dim=0).tolist()):
        ax.bar(j + 1, variance, color=BLUE if variance > 0.01 else "white", edgecolor=BLUE)
    ax.axhline(0.01, color=ORANGE, linestyle="--", label="threshold 0.01")
    ax.set(xlabel="latent", ylabel="variance of mu", yscale="log", ylim=(5e-5, 4))
    ax.set_title(f"{int(answer(mu, 0.01))} of 6 latents are active (filled)")
    ax.legend(fontsize=8)
    return fig, (
        "Bars of the variance of mu for six latents, on a logarithmic axis. Three reach above the "
        "dashed threshold at 0.01 and are filled, the other three stay below it and are empty."
    )


ACTIVE_UNITS = Exercise(
    id="vae.active_units",
    title="Which latents are used",
    points=1,
    minutes=5,
    difficulty=1,
    task="Count the latents whose mean mu varies over the images by more than the threshold.",
    hints=(
        "A latent that ignores the image has the same mu for every image: its variance over the "
        "images, which are the rows, is 0.",
        "mu.var(dim=0) has one variance for each latent. Count those above the threshold.",
    ),
    reference=vae.active_units,
    inputs=_active_units_cases,
    probe=_active_units_probe,
    picture=_active_units_picture,
    mistakes={
        "You took the variance over the latents, dim=1. It is asked for over the images, dim=0.": slip(
            "dim=0", "dim=1"
        ),
        "You compared the standard deviation with the threshold, not the variance.": slip(
            "mu.var", "mu.std"
        ),
        (
            "You looked at how far mu lies from 0. A constant mu carries no information, wherever it "
            "lies: look at how much it varies."
        ): slip("mu.var(dim=0)", "mu.pow(2).mean(dim=0)"),
        "You counted the units that are not active.": slip("> threshold", "<= threshold"),
        "This is a list of yes and no. Count the yeses and return a whole number.": returning(
            "mu.var(dim=0) > threshold"
        ),
        "This is one variance of all values together. Take one for each latent: dim=0.": slip(
            "mu.var(dim=0)", "mu.var()"
        ),
        "You compared the mean of mu with the threshold. Compare its variance over the images.": slip(
            "mu.var(dim=0)", "mu.mean(dim=0)"
        ),
        (
            "You compared the mean size of mu, abs(), with the threshold. Compare the variance: a "
            "constant mu has none."
        ): slip("mu.var(dim=0)", "mu.abs().mean(dim=0)"),
        "This is the share of active latents. Return how many there are.": returning(
            "float((mu.var(dim=0) > threshold).float().mean())"
        ),
        "The threshold has no effect: any variance above 0 counts here. Compare with `threshold`.": slip(
            "> threshold", "> 0"
        ),
        (
            "The threshold is always 0.01 here. Use the argument `threshold`, of which 0.01 is only the "
            "default."
        ): slip("> threshold", "> 0.01"),
        "The count is right, but it is a tensor. Return a whole number: int(...).": returning(
            "(mu.var(dim=0) > threshold).sum()"
        ),
        "You added up the variances above the threshold. Count them.": returning(
            "float(mu.var(dim=0)[mu.var(dim=0) > threshold].sum())"
        ),
    },
    alternatives=(
        returning("torch.count_nonzero(mu.T.cov().diagonal() > threshold).item()"),
        returning("sum(float(column.var()) > threshold for column in mu.T)"),
        returning("int((mu.std(dim=0) > threshold**0.5).sum())"),
    ),
)

# --- importance-weighted bound ----------------------------------------------------------------


def _bound_cases(seed: int) -> Inputs:
    rng = np.random.default_rng(seed)

    def case(k, n, centre, spread):
        return {"log_weights": rng.normal(centre, spread, (k, n))}

    return {
        "one sample: the ELBO itself": case(1, 4, -90, 5),
        "ten samples, three images": case(10, 3, -3, 2),
        "weights too small for exp()": case(50, 6, -900, 30),
    }


def _bound_picture(answer):
    """Log-normal weights with the mean exp(-90), so log p(x) = -90 is known."""
    noise = torch.randn(1024, 500, generator=torch.Generator().manual_seed(0))
    log_weights = -90 - 2**2 / 2 + 2 * noise
    ks = [2**i for i in range(11)]
    bounds = [answer(log_weights[:k]).mean().item() for k in ks]
    fig, ax = plt.subplots(figsize=(4.4, 3))
    ax.axhline(-90, color=GREY, linestyle="--", label="log p(x)")
    ax.plot(ks, bounds, "o-", color=BLUE, markersize=4, label="bound, mean of 500 images")
    ax.plot(1, bounds[0], "s", color=ORANGE, markersize=9, fillstyle="none", label="k = 1: ELBO")
    ax.set(xscale="log", xlabel="samples k", ylabel="nats", title="More samples, a tighter bound")
    ax.legend(fontsize=8)
    return fig, (
        "The bound against the number of samples k, from 1 to 1024: it starts at the ELBO, 2 nats "
        "below log p(x), and rises towards log p(x), a dashed line that it never crosses."
    )


BOUND = Exercise(
    id="vae.importance_weighted_bound",
    title="A tighter bound",
    points=2,
    minutes=10,
    difficulty=3,
    task="Return the logarithm of the mean importance weight of each image, without underflow.",
    hints=(
        "The bound is log((w_1 + ... + w_k) / k) for each image, and you have log w.",
        "exp(-900) is 0 in floating point. torch.logsumexp gives log(sum(exp(...))) safely.",
        "Sum over dim=0, the k samples, then subtract log k for the mean.",
    ),
    reference=vae.importance_weighted_bound,
    inputs=_bound_cases,
    rtol=1e-5,
    atol=1e-3,
    picture=_bound_picture,
    mistakes={
        "This is the mean of the log weights, the ELBO. The logarithm comes after the mean.": returning(
            "log_weights.mean(dim=0)"
        ),
        "log k is missing: logsumexp gives the sum of the weights, not their mean.": slip(
            " - math.log(len(log_weights))", ""
        ),
        "You summed over the images. Sum over dim=0, the samples of z.": returning(
            "torch.logsumexp(log_weights, dim=1) - math.log(log_weights.shape[1])"
        ),
        (
            "exp() of these log weights underflows to 0, and the logarithm of 0 is -infinity. Use "
            "torch.logsumexp."
        ): returning("torch.log(torch.exp(log_weights).mean(dim=0))"),
        (
            "You divided the log-sum by k. A mean inside the logarithm is a subtraction outside: minus "
            "log k."
        ): slip("- math.log(len(log_weights))", "/ len(log_weights)"),
        "You divided by the number of images. Divide by k, the number of samples: len(log_weights).": slip(
            "math.log(len(log_weights))", "math.log(log_weights.shape[1])"
        ),
        "You added log k. A mean is the sum divided by k: subtract log k.": slip(
            "- math.log", "+ math.log"
        ),
        "You subtracted k itself. In the logarithm the division by k is minus log k.": slip(
            "math.log(len(log_weights))", "len(log_weights)"
        ),
        "This is the largest weight alone. The bound takes the mean over all k weights.": returning(
            "log_weights.amax(dim=0)"
        ),
        "log k is in bits here, the rest in nats. Use the natural logarithm, math.log.": slip(
            "math.log(", "math.log2("
        ),
        "You averaged over the images as well. Each image has a bound of its own.": returning(
            "(torch.logsumexp(log_weights, dim=0) - math.log(len(log_weights))).mean()"
        ),
        (
            "The sign is turned round: this is a loss. "
            "The bound itself goes up as the model improves."
        ): returning("math.log(len(log_weights)) - torch.logsumexp(log_weights, dim=0)"),
        "You took exp() at the end. The bound is a logarithm: leave it out.": returning(
            "torch.exp(torch.logsumexp(log_weights, dim=0) - math.log(len(log_weights)))"
        ),
    },
    alternatives=(
        returning("torch.logsumexp(log_weights - math.log(len(log_weights)), dim=0)"),
        returning(
            "log_weights.amax(0) + torch.log(torch.exp(log_weights - log_weights.amax(0)).mean(0))"
        ),
        returning("torch.logcumsumexp(log_weights, 0)[-1] - math.log(len(log_weights))"),
    ),
)
