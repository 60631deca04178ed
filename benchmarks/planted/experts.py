"""A mixture of experts with a gate, and a low-rank adapter."""

from __future__ import annotations

import numpy as np

import allbps.functional as F
from planted.plant import Net, Plant, softmax


# -- mixture of experts ----------------------------------------------------------------------------
def mixture(X, G, A, B, T):
    S = X @ G
    P = F.softmax(S, 1)
    E = np.tanh(X @ A)
    D = F.relu(X @ B)
    Y = P[:, 0:1] * E + P[:, 1:2] * D
    u = np.mean(P, axis=0)
    balance = 0.2 * np.sum(u**2)
    return np.mean((Y - T) ** 2) + balance


def mixture_data(r):
    return {"X": r.normal(size=(5, 4)), "G": r.normal(size=(4, 2)), "A": r.normal(size=(4, 3)),
            "B": r.normal(size=(4, 3)), "T": r.normal(size=(5, 3))}  # fmt: skip


def of_gates(dY, E, D):
    return np.stack([(dY * E).sum(1), (dY * D).sum(1)], axis=1)


def mixture_backward(n, put):
    n["S"] = n["X"] @ n["G"]
    n["P"], n["Z"] = softmax(n["S"]), n["X"] @ n["B"]
    n["E"], n["D"] = np.tanh(n["X"] @ n["A"]), np.maximum(n["Z"], 0)
    n["p"], n["q"] = n["P"][:, :1], n["P"][:, 1:]
    n["Y"], n["u"] = n["p"] * n["E"] + n["q"] * n["D"], n["P"].mean(0)
    dY = put("Y", 2 * (n["Y"] - n["T"]) / 15)
    dE = put("E", dY * n["p"])
    dD = put("D", dY * n["q"])
    du = put("u", 0.4 * n["u"])
    dP = put("P", of_gates(dY, n["E"], n["D"]) + du / 5)
    dS = put("S", n["P"] * (dP - (dP * n["P"]).sum(1, keepdims=True)))
    n["a"], n["b"] = dE * (1 - n["E"] ** 2), dD * (n["Z"] > 0)
    put("G", n["X"].T @ dS)
    put("A", n["X"].T @ n["a"])
    put("B", n["X"].T @ n["b"])
    put("X", dS @ n["G"].T + n["a"] @ n["A"].T + n["b"] @ n["B"].T)


MIXTURE = Net(
    "mixture of experts", mixture, mixture_data, mixture_backward,
    (
        Plant("1/N missing", "Y", lambda g, n: 15 * g, r"by 15|mean|1/N"),
        Plant("averaged over rows only", "Y", lambda g, n: 3 * g, r"by 3|mean|1/N"),
        Plant("target forgotten", "Y", lambda g, n: 2 * n["Y"] / 15, r"target|left out"),
        Plant("gate left out", "E", lambda g, n: n["dY"], r"left out|as it is"),
        Plant("gates exchanged", "D", lambda g, n: n["dY"] * n["p"], r"instead|exchanged|used"),
        Plant("expert for gate", "E", lambda g, n: n["dY"] * n["E"], r"E is used|itself|instead"),
        Plant("2 missing", "u", lambda g, n: g / 2, r"½|factor"),
        Plant("balance forgotten", "P", lambda g, n: of_gates(n["dY"], n["E"], n["D"]),
              r"only|missing|path"),
        Plant("1/N of balance missing", "P", lambda g, n: of_gates(n["dY"], n["E"], n["D"])
              + n["du"], r"by 5|1/N|mean"),
        Plant("balance alone", "P", lambda g, n: np.tile(n["du"] / 5, (5, 1)), r"only|missing|path"),
        Plant("mean for sum", "P", lambda g, n: of_gates(n["dY"], n["E"], n["D"]) / 3
              + n["du"] / 5, r"averag|mean|by 3"),
        Plant("experts exchanged", "P", lambda g, n: of_gates(n["dY"], n["D"], n["E"])
              + n["du"] / 5, r"exchanged|instead"),
        Plant("one expert only", "P", lambda g, n: of_gates(n["dY"], n["E"], 0 * n["D"])
              + n["du"] / 5, r"only|missing|path"),
        Plant("diagonal only", "S", lambda g, n: n["dP"] * n["P"] * (1 - n["P"]), r"diagonal"),
        Plant("sum left out", "S", lambda g, n: n["dP"] * n["P"], r"left out"),
        Plant("sum over the wrong axis", "S", lambda g, n: n["P"] * (
            n["dP"] - (n["dP"] * n["P"]).sum(0, keepdims=True)), r"axis"),
        Plant("derivative left out", "S", lambda g, n: n["dP"], r"left out"),
        Plant("tanh′ left out", "A", lambda g, n: n["X"].T @ n["dE"], r"left out"),
        Plant("mask left out", "B", lambda g, n: n["X"].T @ n["dD"], r"left out"),
        Plant("mask of the upstream", "B", lambda g, n: n["X"].T @ (n["dD"] * (n["dD"] > 0)),
              r"upstream"),
        Plant("another δ", "A", lambda g, n: n["X"].T @ n["b"], r"instead|δ"),
        Plant("gate's path forgotten", "X", lambda g, n: g - n["dS"] @ n["G"].T,
              r"only|missing|path"),
        Plant("paths overwritten", "X", lambda g, n: n["b"] @ n["B"].T, r"only|overwrit"),
        Plant("expert twice", "X", lambda g, n: g + n["a"] @ n["A"].T, r"twice"),
        Plant("last example only", "G", lambda g, n: np.outer(n["X"][4], n["dS"][4]), r"last"),
    ),
    ("G", "A", "B"),
)  # fmt: skip


# -- low-rank adapter ------------------------------------------------------------------------------
def adapter(X, W, A, B, c, y):
    H = X @ A
    Z = X @ W + 4 / 2 * (H @ B)
    S = F.gelu(Z) + c
    return F.cross_entropy(S, y)


def adapter_data(r):
    return {"X": r.normal(size=(3, 4)), "W": r.normal(size=(4, 5)), "A": r.normal(size=(4, 2)),
            "B": r.normal(size=(2, 5)), "c": r.normal(size=5), "y": np.array([4, 0, 2])}  # fmt: skip


def adapter_backward(n, put):
    from scipy.special import ndtr

    n["H"] = n["X"] @ n["A"]
    n["Z"] = n["X"] @ n["W"] + 2 * (n["H"] @ n["B"])
    n["Φ"], n["φ"] = ndtr(n["Z"]), np.exp(-(n["Z"] ** 2) / 2) / np.sqrt(2 * np.pi)
    n["S"] = n["Z"] * n["Φ"] + n["c"]
    n["p"], n["hot"] = softmax(n["S"]), np.eye(5)[n["y"]]
    dS = put("S", (n["p"] - n["hot"]) / 3)
    put("c", dS.sum(0))
    dZ = put("Z", dS * (n["Φ"] + n["Z"] * n["φ"]))
    put("B", 2 * n["H"].T @ dZ)
    dH = put("H", 2 * dZ @ n["B"].T)
    put("A", n["X"].T @ dH)
    put("W", n["X"].T @ dZ)
    put("X", dZ @ n["W"].T + dH @ n["A"].T)


ADAPTER = Net(
    "low-rank adapter", adapter, adapter_data, adapter_backward,
    (
        Plant("label forgotten", "S", lambda g, n: n["p"] / 3, r"label"),
        Plant("bias not summed", "c", lambda g, n: n["dS"], r"not summed|sum"),
        Plant("GELU′ left out", "Z", lambda g, n: n["dS"], r"left out|as it is"),
        Plant("Φ for GELU′", "Z", lambda g, n: n["dS"] * n["Φ"], r"first part|left out|instead"),
        Plant("scale missing", "B", lambda g, n: g / 2, r"factor|½|left out"),
        Plant("scale twice", "H", lambda g, n: g * 2, r"factor|twice"),
        Plant("scale missing", "H", lambda g, n: n["dZ"] @ n["B"].T, r"factor|½|left out"),
        Plant("transposed, not square", "B", lambda g, n: g.T, r"transpos"),
        Plant("another cache", "W", lambda g, n: n["X"].T @ n["dS"], r"left out|δS"),
        Plant("reshaped, not transposed", "H", lambda g, n: 2 * n["dZ"] @ n["B"].reshape(5, 2),
              r"reshap"),
        Plant("updated weights", "H", lambda g, n: 2 * n["dZ"] @ (n["B"] - 0.2 * n["dB"]).T,
              r"updated"),
        Plant("adapter's path forgotten", "X", lambda g, n: n["dZ"] @ n["W"].T, r"only|missing|path"),
        Plant("frozen path forgotten", "X", lambda g, n: n["dH"] @ n["A"].T, r"only|missing|path"),
        Plant("scale of a path", "X", lambda g, n: n["dZ"] @ n["W"].T + n["dH"] @ n["A"].T / 2,
              r"half|factor"),
        Plant("scale of both paths", "X", lambda g, n: 2 * n["dZ"] @ n["W"].T + n["dH"] @ n["A"].T,
              r"twice|factor"),
        Plant("averaged", "A", lambda g, n: g / 3, r"averag|by 3"),
    ),
    ("W", "A", "B", "c"),
)  # fmt: skip
