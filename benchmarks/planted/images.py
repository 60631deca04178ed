"""A conv net, and a depthwise convolution."""

from __future__ import annotations

import numpy as np

import allbps.functional as F
from planted.plant import Net, Plant, correlate, softmax

SWAP = (1, 0, 2, 3)
AROUND = ((0, 0), (0, 0), (2, 2), (2, 2))


def conv_net(I, K, b, W, c, y):
    J = F.conv2d(I, K)
    Z = J + b
    R = F.relu(Z)
    P = F.max_pool2d(R, 2)
    h = P.reshape(3, 12)
    s = h @ W + c
    return F.cross_entropy(s, y)


def conv_data(r):
    return {
        "I": r.normal(size=(3, 2, 6, 6)), "K": r.normal(size=(3, 2, 3, 3)),
        "b": r.normal(size=(3, 1, 1)), "W": r.normal(size=(12, 4)), "c": r.normal(size=4),
        "y": r.integers(0, 4, 3),
    }  # fmt: skip


def image(dJ, K, kernel=lambda K: K[:, :, ::-1, ::-1], swap=True):
    k = kernel(K)
    return correlate(np.pad(dJ, AROUND), k.transpose(SWAP) if swap else k)


def kernel(I, dJ):
    return correlate(I.transpose(SWAP), dJ.transpose(SWAP)).transpose(SWAP)


def put_windows(w):
    return w.reshape(3, 3, 2, 2, 2, 2).transpose(0, 1, 2, 4, 3, 5).reshape(3, 3, 4, 4)


def conv_backward(n, put):
    n["J"] = correlate(n["I"], n["K"])
    n["Z"] = n["J"] + n["b"]
    n["R"] = np.maximum(n["Z"], 0)
    win = n["R"].reshape(3, 3, 2, 2, 2, 2).transpose(0, 1, 2, 4, 3, 5).reshape(3, 3, 2, 2, 4)
    n["win"], n["P"] = win, win.max(-1)
    n["h"] = n["P"].reshape(3, 12)
    n["p"], n["hot"] = softmax(n["h"] @ n["W"] + n["c"]), np.eye(4)[n["y"]]
    ds = put("s", (n["p"] - n["hot"]) / 3)
    put("c", ds.sum(0))
    put("W", n["h"].T @ ds)
    dh = put("h", ds @ n["W"].T)
    dP = put("P", dh.reshape(n["P"].shape))
    one = np.zeros_like(win)
    np.put_along_axis(one, win.argmax(-1)[..., None], dP[..., None], -1)
    dR = put("R", put_windows(one))
    dZ = put("Z", dR * (n["Z"] > 0))
    dJ = put("J", dZ)
    put("b", dZ.sum((0, 2, 3))[:, None, None])
    put("K", kernel(n["I"], dJ))
    put("I", image(dJ, n["K"]))


def to_cell(index):
    def wrong(g, n):
        out = np.zeros_like(n["win"])
        k = index(n["win"])
        np.put_along_axis(out, np.broadcast_to(k, (3, 3, 2, 2))[..., None], n["dP"][..., None], -1)
        return put_windows(out)

    return wrong


def overwritten(g, n):
    out = np.zeros_like(n["I"])
    for i, j in np.ndindex(4, 4):
        out[:, :, i : i + 3, j : j + 3] = np.einsum("no,ocab->ncab", n["dJ"][:, :, i, j], n["K"])
    return out


CONV = Net(
    "conv net", conv_net, conv_data, conv_backward,
    (
        Plant("1/N missing", "s", lambda g, n: g * 3, r"by 3|1/N|mean"),
        Plant("averaged over classes", "s", lambda g, n: g / 4, r"by 4|averag|classes"),
        Plant("label forgotten", "s", lambda g, n: n["p"] / 3, r"label|one.?hot|target"),
        Plant("label off by one", "s", lambda g, n: (n["p"] - np.roll(n["hot"], 1, -1)) / 3,
              r"off by one|class"),
        Plant("stopped at −y/p", "s", lambda g, n: -n["hot"] / n["p"] / 3, r"stopped|−y/p"),
        Plant("softmax once more", "s", lambda g, n: g * n["p"] * (1 - n["p"]), r"once more"),
        Plant("softmax over examples", "s",
              lambda g, n: (softmax(n["h"] @ n["W"] + n["c"], 0) - n["hot"]) / 3, r"axis"),
        Plant("bias averaged", "c", lambda g, n: g / 3, r"averag|by 3"),
        Plant("bias not summed", "c", lambda g, n: n["ds"], r"not summed|sum"),
        Plant("first example only", "W", lambda g, n: np.outer(n["h"][0], n["ds"][0]), r"first"),
        Plant("last example only", "W", lambda g, n: np.outer(n["h"][2], n["ds"][2]), r"last"),
        Plant("transposed, not square", "W", lambda g, n: g.T, r"transpos"),
        Plant("reshaped, not transposed", "h", lambda g, n: n["ds"] @ n["W"].reshape(4, 12),
              r"reshap"),
        Plant("updated weights", "h", lambda g, n: n["ds"] @ (n["W"] - 0.1 * n["dW"]).T,
              r"updated"),
        Plant("unflattened otherwise", "P", lambda g, n: n["dh"].reshape(n["P"].shape, order="F"),
              r"order"),
        Plant("pool to all", "R", lambda g, n: put_windows(
            np.zeros_like(n["win"]) + n["dP"][..., None]), r"all|whole window"),
        Plant("pool shared", "R", lambda g, n: put_windows(
            np.zeros_like(n["win"]) + n["dP"][..., None] / 4), r"shared|averag"),
        Plant("pool to the first cell", "R", to_cell(lambda w: np.zeros((3, 3, 2, 2), int)),
              r"first"),
        Plant("pool to the minimum", "R", to_cell(lambda w: w.argmin(-1)), r"smallest|minim"),
        Plant("mask of the upstream", "Z", lambda g, n: n["dR"] * (n["dR"] > 0), r"upstream"),
        Plant("mask inverted", "Z", lambda g, n: n["dR"] * (n["Z"] <= 0), r"invert"),
        Plant("mask left out", "Z", lambda g, n: n["dR"], r"left out"),
        Plant("ReLU for its derivative", "Z", lambda g, n: n["dR"] * n["R"], r"itself|instead"),
        Plant("bias averaged over pixels", "b", lambda g, n: g / 16, r"averag|by 16"),
        Plant("bias averaged over all", "b", lambda g, n: g / 48, r"averag|by 48"),
        Plant("kernel's gradient turned", "K", lambda g, n: g[:, :, ::-1, ::-1], r"180|turned"),
        Plant("kernel's gradient transposed", "K", lambda g, n: g.transpose(0, 1, 3, 2),
              r"transpos"),
        Plant("one channel only", "K", lambda g, n: np.concatenate(
            [g[:1], np.zeros_like(g[1:])]), r"first|only"),
        Plant("kernel not flipped", "I", lambda g, n: image(n["dJ"], n["K"], lambda K: K),
              r"flip"),
        Plant("kernel flipped on one axis", "I", lambda g, n: image(
            n["dJ"], n["K"], lambda K: K[:, :, ::-1]), r"one axis"),
        Plant("kernel transposed", "I", lambda g, n: image(
            n["dJ"], n["K"], lambda K: K.transpose(0, 1, 3, 2)), r"transpos"),
        Plant("overlap overwritten", "I", overwritten, r"overwrit|instead of added"),
    ),
    ("K", "b", "W", "c"),
)  # fmt: skip


def depthwise(X, K, V, T):
    D = F.conv2d(X, K, groups=3, padding=1)
    S = F.silu(D)
    M = np.mean(S, axis=(2, 3))
    Y = M @ V
    return 0.5 * np.sum((Y - T) ** 2)


def depthwise_data(r):
    return {"X": r.normal(size=(2, 3, 5, 5)), "K": r.normal(size=(3, 1, 3, 3)),
            "V": r.normal(size=(3, 2)), "T": r.normal(size=(2, 2))}  # fmt: skip


def each(f):
    """Channel by channel."""
    return np.concatenate([f(slice(c, c + 1)) for c in range(3)], axis=1)


def depthwise_backward(n, put):
    n["xp"] = np.pad(n["X"], ((0, 0), (0, 0), (1, 1), (1, 1)))
    n["D"] = each(lambda c: correlate(n["xp"][:, c], n["K"][c]))
    n["σ"] = 1 / (1 + np.exp(-n["D"]))
    n["S"] = n["D"] * n["σ"]
    n["M"] = n["S"].mean((2, 3))
    n["Y"] = n["M"] @ n["V"]
    dY = put("Y", n["Y"] - n["T"])
    put("V", n["M"].T @ dY)
    dM = put("M", dY @ n["V"].T)
    dS = put("S", np.broadcast_to(dM[:, :, None, None] / 25, n["S"].shape))
    dD = put("D", dS * n["σ"] * (1 + n["D"] * (1 - n["σ"])))
    put("K", np.stack([kernel(n["xp"][:, c : c + 1], dD[:, c : c + 1])[0] for c in range(3)]))
    pad = np.pad(dD, ((0, 0), (0, 0), (1, 1), (1, 1)))
    put("X", each(lambda c: correlate(pad[:, c], n["K"][c][:, :, ::-1, ::-1])))


DEPTHWISE = Net(
    "depthwise", depthwise, depthwise_data, depthwise_backward,
    (
        Plant("target forgotten", "Y", lambda g, n: n["Y"], r"target|T.*left out|instead of"),
        Plant("order of factors", "V", lambda g, n: n["dY"].T @ n["M"], r"transpos|order"),
        Plant("1/N missing", "S", lambda g, n: g * 25, r"by 25|mean|1/N|division"),
        Plant("1/N twice", "S", lambda g, n: g / 25, r"by 25|averag"),
        Plant("derivative left out", "D", lambda g, n: n["dS"], r"left out"),
        Plant("σ for the derivative", "D", lambda g, n: n["dS"] * n["σ"], r"left out|sigmoid|instead"),
        Plant("σ(1−σ) for the derivative", "D", lambda g, n: n["dS"] * n["σ"] * (1 - n["σ"]),
              r"sigmoid|left out|instead"),
        Plant("function for derivative", "D", lambda g, n: n["dS"] * n["S"], r"itself|instead"),
        Plant("kernel's gradient turned", "K", lambda g, n: g[:, :, ::-1, ::-1], r"180|turned"),
        Plant("first example only", "K", lambda g, n: np.stack([
            kernel(n["xp"][:1, c : c + 1], n["dD"][:1, c : c + 1])[0] for c in range(3)]),
            r"first"),
        Plant("averaged over examples", "K", lambda g, n: g / 2, r"½|averag|by 2|factor"),
        Plant("kernel not flipped", "X", lambda g, n: each(lambda c: correlate(
            np.pad(n["dD"], ((0, 0), (0, 0), (1, 1), (1, 1)))[:, c], n["K"][c])), r"flip"),
        Plant("channels exchanged", "X", lambda g, n: np.roll(g, 1, 1), r"shift|axis 1|channel"),
        Plant("shifted by a pixel", "X", lambda g, n: each(lambda c: correlate(
            np.pad(n["dD"], ((0, 0), (0, 0), (2, 0), (2, 0)))[:, c],
            n["K"][c][:, :, ::-1, ::-1])), r"shift|padding"),
    ),
    ("K", "V"),
)  # fmt: skip
