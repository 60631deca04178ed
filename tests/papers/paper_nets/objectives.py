"""Losses, probabilistic models, flows and solvers, in plain NumPy."""

import numpy as np

from paper_nets.sequences import logsumexp, normal, sigmoid, softmax

rng = np.random.default_rng(13)


def gaussian_process(X, y, log_length, log_noise):
    """Rasmussen & Williams 2006, algorithm 2.1: the negative log marginal likelihood."""
    d2 = np.sum((X[:, None] - X[None]) ** 2, axis=-1)
    K = np.exp(-0.5 * d2 / np.exp(2 * log_length)) + np.exp(2 * log_noise) * np.eye(len(X))
    L = np.linalg.cholesky(K)
    alpha = np.linalg.solve(L.T, np.linalg.solve(L, y))
    return 0.5 * y @ alpha + np.sum(np.log(np.diag(L))) + 0.5 * len(y) * np.log(2 * np.pi)


GP = normal(5, 2), normal(5), 0.1, -1.0


def sinkhorn(x, y, eps=0.5):
    """Cuturi 2013: entropic transport between two clouds, in the log domain."""
    C = ((x[:, None, :] - y[None, :, :]) ** 2).sum(-1)
    n, m = C.shape
    f, g = np.zeros(n), np.zeros(m)
    for _ in range(2):
        f = -eps * (logsumexp((g[None, :] - C) / eps, axis=1) - np.log(n))
        g = -eps * (logsumexp((f[:, None] - C) / eps, axis=0) - np.log(m))
    P = np.exp((f[:, None] + g[None, :] - C) / eps)
    return np.sum(P * C)


SINKHORN = normal(4, 2), normal(3, 2)


def ddpm(W1, W2, x0, noise, t):
    """Ho et al. 2020: one step's loss with a linear schedule."""
    betas = np.linspace(1e-4, 0.02, 50)
    alpha_bar = np.cumprod(1 - betas)[t]
    xt = np.sqrt(alpha_bar)[:, None] * x0 + np.sqrt(1 - alpha_bar)[:, None] * noise
    time = np.stack([np.sin(t / 10), np.cos(t / 10)], axis=1)
    h = np.concatenate([xt, time], axis=1) @ W1
    predicted = (h * sigmoid(h)) @ W2
    return np.mean((predicted - noise) ** 2)


DDPM = normal(5, 6), normal(6, 3), normal(4, 3), normal(4, 3), np.array([3, 17, 30, 49])


def flow(x, layers):
    """Dinh et al. 2017: affine coupling, the negative log-likelihood."""
    log_det = 0.0
    for k, (Ws, Wt) in enumerate(layers):
        a, b = (x[:, :2], x[:, 2:]) if k % 2 == 0 else (x[:, 2:], x[:, :2])
        s, t = np.tanh(a @ Ws), a @ Wt
        b = b * np.exp(s) + t
        log_det = log_det + s.sum(axis=1)
        x = np.hstack([a, b]) if k % 2 == 0 else np.hstack([b, a])
    log_p = -0.5 * (x**2).sum(axis=1) - x.shape[1] / 2 * np.log(2 * np.pi)
    return -np.mean(log_p + log_det)


FLOW = normal(3, 4), [(normal(2, 2), normal(2, 2)) for _ in range(3)]


def planar_flow(z, u, w, b):
    """Rezende & Mohamed 2015."""
    a = np.tanh(z @ w + b)
    psi = (1 - a**2)[:, None] * w
    log_det = np.log(np.abs(1 + psi @ u))
    z = z + u * a[:, None]
    return np.mean(0.5 * (z**2).sum(1) - log_det)


PLANAR = normal(4, 2), normal(2), normal(2), 0.3


def neural_ode(W1, W2, x0, target):
    """Chen et al. 2018, solved by the classical Runge-Kutta method."""

    def f(x):
        return np.tanh(x @ W1) @ W2

    x, dt = x0, 0.5
    for _ in range(2):
        k1 = f(x)
        k2 = f(x + dt / 2 * k1)
        k3 = f(x + dt / 2 * k2)
        k4 = f(x + dt * k3)
        x = x + dt / 6 * (k1 + 2 * k2 + 2 * k3 + k4)
    return np.sum((x - target) ** 2)


ODE = normal(2, 5), normal(5, 2), normal(3, 2), normal(3, 2)


def vae(params, x, noise):
    """Kingma & Welling 2014: the negative evidence lower bound, Bernoulli pixels."""
    h = np.tanh(x @ params["enc"])
    mu, logvar = h @ params["mu"], h @ params["logvar"]
    z = mu + np.exp(0.5 * logvar) * noise
    logits = np.tanh(z @ params["dec"]) @ params["out"]
    reconstruction = np.sum(np.logaddexp(0, logits) - x * logits, axis=1)
    kl = -0.5 * np.sum(1 + logvar - mu**2 - np.exp(logvar), axis=1)
    return np.mean(reconstruction + kl)


VAE = (
    {
        "enc": normal(6, 4), "mu": normal(4, 2), "logvar": normal(4, 2), "dec": normal(2, 4),
        "out": normal(4, 6),
    },
    (rng.uniform(size=(3, 6)) > 0.5).astype(float), normal(3, 2, scale=1.0),
)  # fmt: skip


def info_nce(a, b, temperature):
    """van den Oord et al. 2018, both ways as in CLIP (Radford et al. 2021)."""
    a = a / np.linalg.norm(a, axis=1, keepdims=True)
    b = b / np.linalg.norm(b, axis=1, keepdims=True)
    logits = a @ b.T / temperature
    matched = np.diag(logits)
    return np.mean(logsumexp(logits, axis=1) - matched + logsumexp(logits, axis=0) - matched) / 2


NCE = normal(4, 3), normal(4, 3), 0.3


def triplet(W, anchor, positive, negative, margin=0.5):
    """Schroff et al. 2015."""
    a, p, n = (x @ W for x in (anchor, positive, negative))
    d_ap = np.sum((a - p) ** 2, axis=1)
    d_an = np.sum((a - n) ** 2, axis=1)
    return np.mean(np.maximum(d_ap - d_an + margin, 0.0))


TRIPLET = normal(3, 2), normal(4, 3), normal(4, 3), normal(4, 3)


def ppo(logits, values, actions, old_logp, advantages, returns, clip=0.2):
    """Schulman et al. 2017: clipped surrogate, value loss, entropy bonus."""
    logp_all = logits - logsumexp(logits)[:, None]
    logp = np.take_along_axis(logp_all, actions[:, None], axis=1)[:, 0]
    ratio = np.exp(logp - old_logp)
    surrogate = np.minimum(ratio * advantages, np.clip(ratio, 1 - clip, 1 + clip) * advantages)
    entropy = -np.sum(np.exp(logp_all) * logp_all, axis=1)
    return -surrogate.mean() + 0.5 * np.mean((values - returns) ** 2) - 0.01 * entropy.mean()


PPO = (
    normal(5, 3), normal(5), np.array([0, 2, 1, 1, 0]), np.log(rng.uniform(0.1, 0.6, size=5)),
    normal(5), normal(5),
)  # fmt: skip


def dqn(W1, W2, states, actions, rewards, next_states, done, frozen, gamma=0.9):
    """Mnih et al. 2015, double (van Hasselt et al. 2016), Huber loss."""

    def q(s, A, B):
        return np.maximum(s @ A, 0) @ B

    rows = np.arange(len(actions))
    best = np.argmax(q(next_states, W1, W2), axis=1)
    target = rewards + gamma * (1 - done) * q(next_states, *frozen)[rows, best]
    error = q(states, W1, W2)[rows, actions] - target
    small = np.abs(error) <= 1
    return np.mean(np.where(small, 0.5 * error**2, np.abs(error) - 0.5))


DQN = (
    normal(3, 4), normal(4, 2), normal(4, 3), np.array([0, 1, 1, 0]), normal(4), normal(4, 3),
    np.array([0.0, 0.0, 1.0, 0.0]), (normal(3, 4), normal(4, 2)),
)  # fmt: skip


def skip_gram(inside, outside, centre, context, negatives):
    """Mikolov et al. 2013: negative sampling."""
    v = inside[centre]
    positive = np.sum(v * outside[context], axis=1)
    negative = np.einsum("bd,bkd->bk", v, outside[negatives])
    return np.mean(np.logaddexp(0, -positive) + np.logaddexp(0, negative).sum(axis=1))


SKIP_GRAM = (
    normal(5, 3), normal(5, 3), np.array([0, 1, 2]), np.array([1, 2, 0]),
    np.array([[3, 4], [0, 0], [4, 3]]),
)  # fmt: skip


def glove(W, C, b, c, counts):
    """Pennington et al. 2014."""
    i, j = np.nonzero(counts)
    x = counts[i, j]
    weight = np.minimum((x / 5.0) ** 0.75, 1.0)
    error = np.sum(W[i] * C[j], axis=1) + b[i] + c[j] - np.log(x)
    return np.sum(weight * error**2)


COUNTS = np.array([[0.0, 3, 1], [3, 0, 7], [1, 7, 2]])


def glove_of_counts(W, C, b, c):
    return glove(W, C, b, c, COUNTS)


GLOVE = normal(3, 2), normal(3, 2), normal(3), normal(3)


def t_sne(Y, P):
    """van der Maaten & Hinton 2008."""
    d2 = np.sum((Y[:, None] - Y[None, :]) ** 2, axis=2)
    inverse = 1 / (1 + d2)
    np.fill_diagonal(inverse, 0.0)
    Q = np.maximum(inverse / np.sum(inverse), 1e-12)
    return np.sum(P * np.log(np.maximum(P, 1e-12) / Q))


AFFINITIES = np.abs(normal(4, 4)) * (1 - np.eye(4))
TSNE = normal(4, 2, scale=1.0), (AFFINITIES + AFFINITIES.T) / np.sum(AFFINITIES + AFFINITIES.T)


def pca_autoencoder(W, X):
    """Baldi & Hornik 1989: tied linear weights, an orthogonality penalty."""
    X = X - X.mean(axis=0)
    off = W.T @ W - np.eye(W.shape[1])
    return np.sum((X - X @ W @ W.T) ** 2) / len(X) + np.trace(off @ off.T)


PCA = normal(4, 2), normal(6, 4)


def mixture_density(params, x, y):
    """Bishop 1994: a mixture of Gaussians whose parameters a net gives."""
    h = np.tanh(x[:, None] @ params["W1"] + params["b1"])
    log_pi, mu, log_sigma = np.split(h @ params["W2"], 3, axis=1)
    log_pi = log_pi - logsumexp(log_pi)[:, None]
    z = (y[:, None] - mu) / np.exp(log_sigma)
    return -np.mean(logsumexp(log_pi - log_sigma - 0.5 * z**2 - 0.5 * np.log(2 * np.pi)))


MDN = {"W1": normal(1, 4), "b1": normal(4), "W2": normal(4, 6)}, normal(5), normal(5)


def distillation(student, teacher, labels, T=3.0):
    """Hinton et al. 2015."""
    soft = softmax(teacher / T)
    log_soft = student / T - logsumexp(student / T)[:, None]
    hard = logsumexp(student) - student[range(len(labels)), labels]
    return T**2 * np.mean(np.sum(soft * (np.log(soft) - log_soft), axis=1)) + np.mean(hard)


DISTILLATION = normal(3, 4), normal(3, 4), np.array([0, 3, 1])


def gumbel_softmax(logits, noise, values, tau):
    """Jang et al. 2017."""
    y = softmax((logits - np.log(-np.log(noise))) / tau)
    return np.sum((y @ values) ** 2)


GUMBEL = normal(3, 4), rng.uniform(0.05, 0.95, size=(3, 4)), normal(4, 2), 0.8
