"""A variational autoencoder, and a contrastive loss between two views."""

from __future__ import annotations

import numpy as np

from planted.plant import Net, Plant, softmax


# -- variational autoencoder -----------------------------------------------------------------------
def autoencoder(X, W, Wm, Wv, Wd, b, E):
    H = np.tanh(X @ W)
    m = H @ Wm
    v = H @ Wv
    s = np.exp(0.5 * v)
    z = m + s * E
    R = z @ Wd + b
    fit = 0.5 * np.sum((R - X) ** 2) / 4
    kl = -0.5 * np.sum(1 + v - m**2 - np.exp(v)) / 4
    return fit + kl


def autoencoder_data(r):
    return {"X": r.normal(size=(4, 5)), "W": r.normal(size=(5, 4)), "Wm": r.normal(size=(4, 3)),
            "Wv": 0.5 * r.normal(size=(4, 3)), "Wd": r.normal(size=(3, 5)), "b": r.normal(size=5),
            "E": r.normal(size=(4, 3))}  # fmt: skip


def autoencoder_backward(n, put):
    n["H"] = np.tanh(n["X"] @ n["W"])
    n["m"], n["v"] = n["H"] @ n["Wm"], n["H"] @ n["Wv"]
    n["s"] = np.exp(0.5 * n["v"])
    n["z"] = n["m"] + n["s"] * n["E"]
    n["R"] = n["z"] @ n["Wd"] + n["b"]
    dR = put("R", (n["R"] - n["X"]) / 4)
    put("b", dR.sum(0))
    put("Wd", n["z"].T @ dR)
    dz = put("z", dR @ n["Wd"].T)
    ds = put("s", dz * n["E"])
    dm = put("m", dz + n["m"] / 4)
    n["kl"] = 0.5 * (np.exp(n["v"]) - 1) / 4
    dv = put("v", 0.5 * ds * n["s"] + n["kl"])
    put("Wm", n["H"].T @ dm)
    put("Wv", n["H"].T @ dv)
    dH = put("H", dm @ n["Wm"].T + dv @ n["Wv"].T)
    put("W", n["X"].T @ (dH * (1 - n["H"] ** 2)))


AUTOENCODER = Net(
    "variational autoencoder", autoencoder, autoencoder_data, autoencoder_backward,
    (
        Plant("1/N missing", "R", lambda g, n: g * 4, r"by 4|mean|1/N|division"),
        Plant("target forgotten", "R", lambda g, n: n["R"] / 4, r"target|left out"),
        Plant("bias averaged", "b", lambda g, n: g / 4, r"averag|by 4"),
        Plant("reshaped, not transposed", "z", lambda g, n: n["dR"] @ n["Wd"].reshape(5, 3),
              r"reshap"),
        Plant("noise left out", "s", lambda g, n: n["dz"], r"E.*left out|left out|as it is"),
        Plant("another value", "s", lambda g, n: n["dz"] * n["s"], r"s is used|instead of E"),
        Plant("KL forgotten", "m", lambda g, n: n["dz"], r"only|missing|path|as it is"),
        Plant("KL's sign", "m", lambda g, n: n["dz"] - n["m"] / 4, r"subtract|sign"),
        Plant("KL twice", "m", lambda g, n: n["dz"] + n["m"] / 2, r"twice|factor"),
        Plant("1/N of KL missing", "m", lambda g, n: n["dz"] + n["m"], r"by 4|1/N|division"),
        Plant("fit forgotten", "m", lambda g, n: n["m"] / 4, r"only|missing|path"),
        Plant("KL forgotten", "v", lambda g, n: 0.5 * n["ds"] * n["s"], r"only|missing|path"),
        Plant("½ missing", "v", lambda g, n: n["ds"] * n["s"] + n["kl"], r"twice|½|0\.5|factor"),
        Plant("exp′ left out", "v", lambda g, n: 0.5 * n["ds"] + n["kl"], r"exp.*left out|s is left|factor|left out"),
        Plant("−1 forgotten", "v", lambda g, n: 0.5 * n["ds"] * n["s"] + np.exp(n["v"]) / 8,
              r"only|missing|path|left out"),
        Plant("variance for deviation", "v", lambda g, n: 0.5 * n["ds"] * n["s"] ** 2 + n["kl"],
              r"twice|instead|variance|power"),
        Plant("sign of −1", "v", lambda g, n: 0.5 * n["ds"] * n["s"] + (np.exp(n["v"]) + 1) / 8,
              r"sign|subtract|minus|plus"),
        Plant("another δ", "Wv", lambda g, n: n["H"].T @ n["dm"], r"δm"),
        Plant("path forgotten", "H", lambda g, n: n["dm"] @ n["Wm"].T, r"only|missing|path"),
        Plant("paths exchanged", "H", lambda g, n: n["dm"] @ n["Wv"].T + n["dv"] @ n["Wm"].T,
              r"exchanged"),
        Plant("updated weights", "H", lambda g, n: (
            n["dm"] @ (n["Wm"] - 0.3 * n["dWm"]).T + n["dv"] @ n["Wv"].T), r"updated"),
        Plant("tanh′ left out", "W", lambda g, n: n["X"].T @ n["dH"], r"left out"),
        Plant("square missing", "W", lambda g, n: n["X"].T @ (n["dH"] * (1 - n["H"])),
              r"square|power|\*\*"),
    ),
    ("W", "Wm", "Wv", "Wd", "b"),
)  # fmt: skip


# -- contrastive loss ------------------------------------------------------------------------------
def contrastive(X, Y, W):
    A = X @ W
    B = Y @ W
    U = A / np.sqrt(np.sum(A**2, axis=1, keepdims=True))
    V = B / np.sqrt(np.sum(B**2, axis=1, keepdims=True))
    S = U @ V.T / 0.5
    L = np.log(np.sum(np.exp(S), axis=1))
    return np.mean(L - np.diag(S))


def contrastive_data(r):
    return {"X": r.normal(size=(4, 5)), "Y": r.normal(size=(4, 5)), "W": r.normal(size=(5, 3))}


def unit_backward(g, u, size):
    return (g - u * (g * u).sum(1, keepdims=True)) / size


def contrastive_backward(n, put):
    n["A"], n["B"] = n["X"] @ n["W"], n["Y"] @ n["W"]
    n["a"], n["b"] = (np.sqrt((n[k] ** 2).sum(1, keepdims=True)) for k in "AB")
    n["U"], n["V"] = n["A"] / n["a"], n["B"] / n["b"]
    n["S"] = n["U"] @ n["V"].T / 0.5
    n["P"], n["I"] = softmax(n["S"]), np.eye(4)
    put("L", np.full(4, 0.25))
    dS = put("S", (n["P"] - n["I"]) / 4)
    dU = put("U", dS @ n["V"] / 0.5)
    dV = put("V", dS.T @ n["U"] / 0.5)
    dA = put("A", unit_backward(dU, n["U"], n["a"]))
    dB = put("B", unit_backward(dV, n["V"], n["b"]))
    put("W", n["X"].T @ dA + n["Y"].T @ dB)
    put("X", dA @ n["W"].T)


CONTRASTIVE = Net(
    "contrastive loss", contrastive, contrastive_data, contrastive_backward,
    (
        Plant("1/N missing", "L", lambda g, n: 4 * g, r"by 4|1/N|mean"),
        Plant("label forgotten", "S", lambda g, n: n["P"] / 4, r"label|only|missing"),
        Plant("p added", "S", lambda g, n: (n["P"] + n["I"]) / 4, r"added|sign|subtract"),
        Plant("label only", "S", lambda g, n: -n["I"] / 4, r"only|missing|−y|zero"),
        Plant("softmax over the other view", "S", lambda g, n: (softmax(n["S"], 0) - n["I"]) / 4,
              r"axis"),
        Plant("softmax once more", "S", lambda g, n: g * n["P"] * (1 - n["P"]), r"once more"),
        Plant("1/N missing", "S", lambda g, n: 4 * g, r"by 4|1/N|mean"),
        Plant("temperature missing", "U", lambda g, n: n["dS"] @ n["V"], r"division by 0\.5|factor"),
        Plant("temperature twice", "U", lambda g, n: g / 0.5, r"once too often|twice|factor"),
        Plant("temperature the wrong way", "V", lambda g, n: n["dS"].T @ n["U"] * 0.5,
              r"instead of divided|by 4"),
        Plant("another value", "U", lambda g, n: n["dS"] @ n["U"] / 0.5, r"U is used|instead of V"),
        Plant("transpose missing", "V", lambda g, n: n["dS"] @ n["U"] / 0.5, r"transpos"),
        Plant("norm constant", "A", lambda g, n: n["dU"] / n["a"], r"constant|only|path"),
        Plant("division left out", "A", lambda g, n: unit_backward(n["dU"], n["U"], 1),
              r"left out|division|missing|U is used"),
        Plant("derivative left out", "A", lambda g, n: n["dU"], r"left out|as it is"),
        Plant("wrong axis", "A", lambda g, n: (
            n["dU"] - n["U"] * (n["dU"] * n["U"]).sum(0, keepdims=True)) / n["a"], r"axis"),
        Plant("divided twice", "B", lambda g, n: g / n["b"], r"once too often|twice|square of the length"),
        Plant("sign of the projection", "B", lambda g, n: (
            n["dV"] + n["V"] * (n["dV"] * n["V"]).sum(1, keepdims=True)) / n["b"],
            r"sign|subtract|plus|minus"),
        Plant("value for unit vector", "A", lambda g, n: (
            n["dU"] - n["A"] * (n["dU"] * n["A"]).sum(1, keepdims=True)) / n["a"],
            r"instead|value|division|power"),
        Plant("projection without direction", "A", lambda g, n: (
            n["dU"] - (n["dU"] * n["U"]).sum(1, keepdims=True)) / n["a"], r"left out|factor"),
        Plant("mean for sum", "B", lambda g, n: (
            n["dV"] - n["V"] * (n["dV"] * n["V"]).mean(1, keepdims=True)) / n["b"],
            r"mean|averag|by 3"),
        Plant("one view only", "W", lambda g, n: n["X"].T @ n["dA"], r"only|missing|path"),
        Plant("views exchanged", "W", lambda g, n: n["X"].T @ n["dB"] + n["Y"].T @ n["dA"],
              r"exchanged"),
        Plant("averaged over views", "W", lambda g, n: g / 2, r"½|factor|half"),
        Plant("transposed, not square", "W", lambda g, n: g.T, r"transpos"),
        Plant("first example only", "W", lambda g, n: (
            np.outer(n["X"][0], n["dA"][0]) + n["Y"].T @ n["dB"]), r"first"),
    ),
    ("W",),
)  # fmt: skip
