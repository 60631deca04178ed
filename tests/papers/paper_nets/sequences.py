"""Nets over sequences, in plain NumPy, as somebody who has never seen allbps would write them."""

import numpy as np

rng = np.random.default_rng(11)


def normal(*shape, scale=0.5):
    return rng.normal(size=shape) * scale


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def softmax(x, axis=-1):
    e = np.exp(x - np.max(x, axis=axis, keepdims=True))
    return e / np.sum(e, axis=axis, keepdims=True)


def logsumexp(x, axis=-1):
    m = np.max(x, axis=axis, keepdims=True)
    return np.squeeze(m, axis) + np.log(np.sum(np.exp(x - m), axis=axis))


def lstm(params, xs, target):
    """Hochreiter & Schmidhuber 1997, with forget gates (Gers et al. 2000)."""
    W, U, b = params["W"], params["U"], params["b"]
    n = U.shape[0]
    h = np.zeros_like(xs[0, :, :1]) + np.zeros(n)
    c = h.copy()
    for x in xs:
        z = x @ W + h @ U + b
        i, f, o = sigmoid(z[:, :n]), sigmoid(z[:, n : 2 * n]), sigmoid(z[:, 2 * n : 3 * n])
        g = np.tanh(z[:, 3 * n :])
        c = f * c + i * g
        h = o * np.tanh(c)
    return np.mean((h - target) ** 2)


LSTM = {"W": normal(2, 12), "U": normal(3, 12), "b": normal(12)}, normal(4, 2, 2)[:2], normal(2, 3)


def gru(W, U, Wc, Uc, xs):
    """Cho et al. 2014."""
    h = np.zeros(Uc.shape[0])
    for t in range(len(xs)):
        z, r = np.split(sigmoid(xs[t] @ W + h @ U), 2)
        candidate = np.tanh(xs[t] @ Wc + (r * h) @ Uc)
        h = (1 - z) * h + z * candidate
    return np.sum(h**2)


GRU = normal(2, 6), normal(3, 6), normal(2, 3), normal(3, 3), normal(5, 2)


def ctc(logits, label):
    """Graves et al. 2006: the forward recursion in the log domain; blank is 0."""
    logp = logits - logsumexp(logits)[:, None]
    extended = [0]
    for k in label:
        extended += [k, 0]
    S = len(extended)
    alpha = [logp[0, 0], logp[0, extended[1]]] + [-1e30] * (S - 2)
    for t in range(1, len(logp)):
        new = []
        for s in range(S):
            ways = [alpha[s]]
            if s >= 1:
                ways.append(alpha[s - 1])
            if s >= 2 and extended[s] != 0 and extended[s] != extended[s - 2]:
                ways.append(alpha[s - 2])
            total = ways[0]
            for way in ways[1:]:
                total = np.logaddexp(total, way)
            new.append(total + logp[t, extended[s]])
        alpha = new
    return -np.logaddexp(alpha[-1], alpha[-2])


CTC = normal(6, 4, scale=1.0), [1, 2, 2]


def crf(emissions, transitions, tags):
    """Lafferty et al. 2001: a linear chain."""
    T = emissions.shape[0]
    score = np.sum(emissions[np.arange(T), tags]) + np.sum(transitions[tags[:-1], tags[1:]])
    alpha = emissions[0]
    for t in range(1, T):
        alpha = emissions[t] + logsumexp(alpha[:, None] + transitions, axis=0)
    return logsumexp(alpha) - score


CRF = normal(5, 3), normal(3, 3), np.array([0, 2, 1, 1, 0])


def hmm(log_pi, log_A, log_B, observed):
    """Rabiner 1989: the forward algorithm."""
    log_pi = log_pi - logsumexp(log_pi)
    A = log_A - logsumexp(log_A, axis=1)[:, None]
    B = log_B - logsumexp(log_B, axis=1)[:, None]
    alpha = log_pi + B[:, observed[0]]
    for o in observed[1:]:
        alpha = logsumexp(alpha[:, None] + A, axis=0) + B[:, o]
    return -logsumexp(alpha)


HMM = normal(3), normal(3, 3), normal(3, 4), np.array([0, 3, 1])


def soft_viterbi(scores, transitions, gamma):
    """Mensch & Blondel 2018: Viterbi with a smoothed maximum."""
    V = scores[0]
    for t in range(1, len(scores)):
        V = scores[t] + gamma * logsumexp((V[:, None] + transitions) / gamma, axis=0)
    return gamma * logsumexp(V / gamma)


VITERBI = normal(5, 3), normal(3, 3), 0.7


def soft_dtw(x, y, gamma):
    """Cuturi & Blondel 2017."""
    D = (x[:, None] - y[None, :]) ** 2
    n, m = D.shape
    R = np.full((n + 1, m + 1), 1e10, like=D)
    R[0, 0] = 0.0
    for i in range(1, n + 1):
        for j in range(1, m + 1):
            r = -np.stack([R[i - 1, j - 1], R[i - 1, j], R[i, j - 1]]) / gamma
            biggest = np.max(r)
            R[i, j] = D[i - 1, j - 1] - gamma * (np.log(np.sum(np.exp(r - biggest))) + biggest)
    return R[n, m]


DTW = normal(4, scale=1.0)[:3], normal(3, scale=1.0)[:2], 0.5


def kalman(F, H, Q, R, observations):
    """Kalman 1960: the negative log-likelihood of the innovations."""
    n = len(F)
    m, P = np.zeros(n), np.eye(n)
    nll = 0.0
    for z in observations:
        m, P = F @ m, F @ P @ F.T + Q @ Q.T
        v = z - H @ m
        S = H @ P @ H.T + R @ R.T
        K = np.linalg.solve(S, H @ P).T
        nll += 0.5 * (v @ np.linalg.solve(S, v) + np.linalg.slogdet(2 * np.pi * S)[1])
        m, P = m + K @ v, P - K @ H @ P
    return nll


KALMAN = (
    np.array([[1.0, 0.1], [0.0, 0.9]]), normal(2, 2) + np.eye(2), 0.3 * np.eye(2),
    np.eye(2) + 0.1, normal(4, 2)[:2],
)  # fmt: skip


def mamba(x, A_log, W_B, W_C, W_dt, D):
    """Gu & Dao 2023: the selective scan, step by step."""
    A = -np.exp(A_log)
    dt = np.log1p(np.exp(x @ W_dt))
    B, C = x @ W_B, x @ W_C
    h = np.zeros(A.shape)
    ys = []
    for t in range(x.shape[0]):
        decay = np.exp(dt[t][:, None] * A)
        h = decay * h + (dt[t] * x[t])[:, None] * B[t]
        ys.append(h @ C[t] + D * x[t])
    return np.mean(np.stack(ys) ** 2)


MAMBA = normal(4, 3), normal(3, 2), normal(3, 2), normal(3, 2), normal(3, 3), normal(3)


def attention(q, k, v, causal=True):
    """Vaswani et al. 2017."""
    scores = q @ np.swapaxes(k, -1, -2) / np.sqrt(q.shape[-1])
    if causal:
        n = scores.shape[-1]
        scores = np.where(np.tril(np.ones((n, n), dtype=bool)), scores, -np.inf)
    return softmax(scores) @ v


def transformer(p, x, labels):
    """One block, pre-norm, with a language-model head."""

    def norm(h, g):
        return g * (h - h.mean(-1, keepdims=True)) / np.sqrt(h.var(-1, keepdims=True) + 1e-5)

    h = norm(x, p["g1"])
    q, k, v = (np.reshape(h @ w, (4, 2, 2)).transpose(1, 0, 2) for w in p["qkv"])
    x = x + attention(q, k, v).transpose(1, 0, 2).reshape(4, 4) @ p["o"]
    u = norm(x, p["g2"]) @ p["up"]
    x = x + 0.5 * u * (1 + np.tanh(np.sqrt(2 / np.pi) * (u + 0.044715 * u**3))) @ p["down"]
    logits = x @ p["head"]
    return np.mean(logsumexp(logits) - logits[np.arange(4), labels])


TRANSFORMER = (
    {
        "g1": normal(4), "qkv": [normal(4, 4) for _ in range(3)], "o": normal(4, 4),
        "g2": normal(4), "up": normal(4, 8), "down": normal(8, 4), "head": normal(4, 5),
    },
    normal(4, 4), np.array([1, 0, 4, 2]),
)  # fmt: skip


def linear_attention(q, k, v):
    """Katharopoulos et al. 2020: elu + 1 as the feature map, causal by running sums."""

    def phi(x):
        return np.where(x > 0, x + 1, np.exp(np.minimum(x, 0)))

    S = np.cumsum(phi(k)[:, :, None] * v[:, None, :], axis=0)
    z = np.cumsum(phi(k), axis=0)
    out = np.einsum("td,tde->te", phi(q), S) / np.sum(phi(q) * z, axis=1, keepdims=True)
    return np.sum(out**2)


LINEAR_ATTENTION = normal(4, 3), normal(4, 3), normal(4, 2)


def rotary(q, k, v):
    """Su et al. 2021: rotary positions."""
    n, d = q.shape
    angle = np.arange(n)[:, None] / 100.0 ** (np.arange(d // 2) / (d // 2))

    def turned(x):
        a, b = x[:, 0::2], x[:, 1::2]
        out = np.zeros_like(x)
        out[:, 0::2] = a * np.cos(angle) - b * np.sin(angle)
        out[:, 1::2] = a * np.sin(angle) + b * np.cos(angle)
        return out

    return np.sum(attention(turned(q), turned(k), v) ** 2)


ROTARY = normal(4, 4), normal(4, 4), normal(4, 3)


def grouped_query(x, Wq, Wk, Wv):
    """Ainslie et al. 2023: four query heads share two heads of keys and values."""
    q = (x @ Wq).reshape(3, 4, 2).transpose(1, 0, 2)
    k = np.repeat((x @ Wk).reshape(3, 2, 2).transpose(1, 0, 2), 2, axis=0)
    v = np.repeat((x @ Wv).reshape(3, 2, 2).transpose(1, 0, 2), 2, axis=0)
    return np.mean(attention(q, k, v, causal=False) ** 2)


GROUPED = normal(3, 4), normal(4, 8), normal(4, 4), normal(4, 4)


def bahdanau(query, keys, values, W, U, v):
    """Bahdanau et al. 2014: additive attention."""
    scores = np.tanh(query @ W + keys @ U) @ v
    weights = softmax(scores)
    return np.sum((weights[:, None] * values).sum(0) ** 2)


BAHDANAU = normal(3), normal(4, 3), normal(4, 2), normal(3, 3), normal(3, 3), normal(3)


def hopfield(state, patterns, beta):
    """Ramsauer et al. 2020: three retrieval steps of a modern Hopfield net, and its energy."""
    for _ in range(3):
        state = softmax(beta * patterns @ state) @ patterns
    return 0.5 * state @ state - logsumexp(beta * patterns @ state) / beta


HOPFIELD = normal(3), normal(4, 3), 1.5
