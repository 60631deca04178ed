"""A graph convolution with few labels, and a triplet loss of embeddings that are looked up."""

from __future__ import annotations

import numpy as np

import allbps.functional as F
from planted.plant import Net, Plant, softmax


# -- graph convolution -----------------------------------------------------------------------------
def graph(A, X, W, V, y):
    N = A / np.sum(A, axis=1, keepdims=True)
    M = N @ X
    Z = M @ W
    H = np.maximum(Z, 0)
    Q = N @ H
    S = Q @ V
    return F.cross_entropy(S[:3], y)


def graph_data(r):
    A = (r.random((5, 5)) < 0.5) * 1.0
    A[np.arange(5), (np.arange(5) + 1) % 5] = 1.0
    return {"A": A + np.eye(5), "X": r.normal(size=(5, 4)), "W": r.normal(size=(4, 6)),
            "V": r.normal(size=(6, 3)), "y": np.array([2, 0, 1])}  # fmt: skip


def graph_backward(n, put):
    N = n["N"] = n["A"] / n["A"].sum(1, keepdims=True)
    n["M"] = N @ n["X"]
    n["Z"] = n["M"] @ n["W"]
    n["H"] = np.maximum(n["Z"], 0)
    n["Q"] = N @ n["H"]
    n["S"] = n["Q"] @ n["V"]
    n["p"], n["hot"] = softmax(n["S"][:3]), np.eye(3)[n["y"]]
    dS = put("S", rows((n["p"] - n["hot"]) / 3))
    put("V", n["Q"].T @ dS)
    dQ = put("Q", dS @ n["V"].T)
    dH = put("H", N.T @ dQ)
    dZ = put("Z", dH * (n["Z"] > 0))
    put("W", n["M"].T @ dZ)
    dM = put("M", dZ @ n["W"].T)
    put("X", N.T @ dM)


def rows(g):
    """The δ of the labelled nodes, and zeros for the others."""
    return np.concatenate([g, np.zeros((2, 3))])


GRAPH = Net(
    "graph convolution", graph, graph_data, graph_backward,
    (
        Plant("label forgotten", "S", lambda g, n: rows(n["p"] / 3), r"label|one-hot|only"),
        Plant("label off by one", "S", lambda g, n: rows((n["p"] - np.roll(n["hot"], 1, 1)) / 3),
              r"off by one|class"),
        Plant("1/N missing", "S", lambda g, n: 3 * g, r"by 3|mean|1/N"),
        Plant("another length", "S", lambda g, n: g * 3 / 5, r"5 instead of 3|by 5|averag"),
        Plant("softmax left out", "S", lambda g, n: rows((n["S"][:3] - n["hot"]) / 3),
              r"softmax|logit"),
        Plant("another value", "V", lambda g, n: n["H"].T @ n["dS"], r"H is used"),
        Plant("reshaped, not transposed", "Q", lambda g, n: n["dS"] @ n["V"].reshape(3, 6),
              r"reshap"),
        Plant("updated weights", "Q", lambda g, n: n["dS"] @ (n["V"] - 0.1 * n["dV"]).T,
              r"updated"),
        Plant("transpose missing", "H", lambda g, n: n["N"] @ n["dQ"], r"transpos"),
        Plant("neighbours forgotten", "H", lambda g, n: n["dQ"], r"left out|as it is"),
        Plant("norm of degrees left out", "H", lambda g, n: n["A"].T @ n["dQ"],
              r"A is used|division|left out"),
        Plant("activation′ left out", "Z", lambda g, n: n["dH"], r"ReLU is left out"),
        Plant("mask inverted", "Z", lambda g, n: n["dH"] * (n["Z"] <= 0), r"inverted"),
        Plant("mask of upstream", "Z", lambda g, n: n["dH"] * (n["dH"] > 0), r"upstream"),
        Plant("another value", "W", lambda g, n: n["X"].T @ n["dZ"], r"X is used"),
        Plant("another δ", "W", lambda g, n: n["M"].T @ n["dH"], r"δH|ReLU"),
        Plant("one example only", "W", lambda g, n: np.outer(n["M"][0], n["dZ"][0]), r"first"),
        Plant("transposed, not square", "W", lambda g, n: g.T, r"transpos"),
        Plant("transpose missing", "X", lambda g, n: n["N"] @ n["dM"], r"transpos"),
        Plant("neighbours forgotten", "X", lambda g, n: n["dM"], r"left out|as it is"),
    ),
    ("W", "V"),
)  # fmt: skip


# -- triplet loss ----------------------------------------------------------------------------------
def triplet(E, W, a, p, n):
    A = E[a] @ W
    P = E[p] @ W
    Q = E[n] @ W
    s = np.sum((A - P) ** 2, axis=1)
    u = np.sum((A - Q) ** 2, axis=1)
    m = s - u + 1.0
    h = np.maximum(m, 0)
    return np.mean(h)


def triplet_data(r):
    return {"E": r.normal(size=(6, 4)), "W": 0.5 * r.normal(size=(4, 3)),
            "a": np.array([0, 1, 0, 4, 2]), "p": np.array([3, 3, 5, 1, 4]),
            "n": np.array([2, 5, 2, 0, 1])}  # fmt: skip


def triplet_backward(k, put):
    E, W = k["E"], k["W"]
    k["A"], k["P"], k["Q"] = (E[k[i]] @ W for i in "apn")
    k["near"], k["far"] = k["A"] - k["P"], k["A"] - k["Q"]
    k["m"] = (k["near"] ** 2).sum(1) - (k["far"] ** 2).sum(1) + 1.0
    dh = put("h", np.full(5, 1 / 5))
    dm = put("m", dh * (k["m"] > 0))
    ds = put("s", dm)
    du = put("u", -dm)
    k["by_s"], k["by_u"] = 2 * ds[:, None] * k["near"], 2 * du[:, None] * k["far"]
    dP = put("P", -k["by_s"])
    dQ = put("Q", -k["by_u"])
    dA = put("A", k["by_s"] + k["by_u"])
    k["of"] = [E[k[i]].T @ d for i, d in zip("apn", (dA, dP, dQ), strict=True)]
    put("W", sum(k["of"]))
    put("E", looked_up(k, (dA, dP, dQ)))


def looked_up(k, deltas, indices="apn"):
    """δE of some of the lookups."""
    found = np.zeros_like(k["E"])
    for i, d in zip(indices, deltas, strict=True):
        np.add.at(found, k[i], d @ k["W"].T)
    return found


def assigned(g, k):
    """δE where each lookup overwrites what it finds."""
    found = np.zeros_like(k["E"])
    for i, d in zip("apn", (k["dA"], k["dP"], k["dQ"]), strict=True):
        one = np.zeros_like(found)
        one[k[i]] = d @ k["W"].T
        found += one
    return found


TRIPLET = Net(
    "triplet loss", triplet, triplet_data, triplet_backward,
    (
        Plant("1/N missing", "h", lambda g, k: 5 * g, r"by 5|mean|1/N"),
        Plant("activation′ left out", "m", lambda g, k: k["dh"], r"ReLU is left out"),
        Plant("mask inverted", "m", lambda g, k: k["dh"] * (k["m"] <= 0), r"inverted"),
        Plant("function for derivative", "m", lambda g, k: k["dh"] * np.maximum(k["m"], 0),
              r"itself|value"),
        Plant("minus missing", "u", lambda g, k: -g, r"sign|minus"),
        Plant("factor 2 missing", "P", lambda g, k: g / 2, r"½|factor"),
        Plant("sign", "P", lambda g, k: -g, r"sign|minus"),
        Plant("δ left out", "P", lambda g, k: -2 * k["near"], r"left out|as if it were 1"),
        Plant("another value", "P", lambda g, k: -2 * k["ds"][:, None] * (k["A"] - k["Q"]),
              r"Q is used"),
        Plant("the difference forgotten", "Q", lambda g, k: -2 * k["du"][:, None] * k["A"],
              r"left out|forgotten|A is used"),
        Plant("another value", "Q", lambda g, k: -k["by_s"], r"instead|δs"),
        Plant("path forgotten", "A", lambda g, k: k["by_s"], r"only|missing|path"),
        Plant("path forgotten", "A", lambda g, k: k["by_u"], r"only|missing|path"),
        Plant("a path's sign", "A", lambda g, k: k["by_s"] - k["by_u"], r"sign|subtract|minus"),
        Plant("factor 2 missing", "A", lambda g, k: k["by_s"] / 2 + k["by_u"],
              r"half|½|factor|2"),
        Plant("one of three uses", "W", lambda g, k: k["of"][0], r"only|missing|path"),
        Plant("a use forgotten", "W", lambda g, k: k["of"][0] + k["of"][1], r"only|missing|path"),
        Plant("averaged", "W", lambda g, k: g / 5, r"averag|by 5"),
        Plant("overwritten", "E", assigned, r"overwrit|instead of added"),
        Plant("a use forgotten", "E", lambda g, k: looked_up(k, (k["dA"], k["dP"]), "ap"),
              r"only|missing|path|left out"),
        Plant("one of three uses", "E", lambda g, k: looked_up(k, (k["dA"],), "a"),
              r"only|missing|path|left out"),
    ),
    ("W", "E"),
)  # fmt: skip
