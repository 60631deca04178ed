"""A step of a Kalman filter, and a linear-chain conditional random field."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

import allbps.functional as F
from planted.plant import Net, Plant


# -- Kalman filter ---------------------------------------------------------------------------------
def kalman(A, C, Q, R, x, P, z, t):
    m = A @ x
    M = A @ P @ A.T + Q
    S = C @ M @ C.T + R
    J = np.linalg.inv(S)
    K = M @ C.T @ J
    r = z - C @ m
    n = m + K @ r
    V = M - K @ C @ M
    return 0.5 * np.sum((n - t) ** 2) + np.trace(V)


def kalman_data(r):
    P, Q, R = (np.eye(k) + 0.3 * np.outer(v, v) for k, v in (
        (3, r.normal(size=3)), (3, r.normal(size=3)), (2, r.normal(size=2))))  # fmt: skip
    return {"A": r.normal(size=(3, 3)), "C": r.normal(size=(2, 3)), "Q": Q, "R": R,
            "x": r.normal(size=3), "P": P, "z": r.normal(size=2), "t": r.normal(size=3)}  # fmt: skip


def kalman_backward(k, put):
    A, C, P = k["A"], k["C"], k["P"]
    m = k["m"] = A @ k["x"]
    M = k["M"] = A @ P @ A.T + k["Q"]
    J = k["J"] = np.linalg.inv(C @ M @ C.T + k["R"])
    K = k["K"] = M @ C.T @ J
    r = k["r"] = k["z"] - C @ m
    k["n"] = m + K @ r
    dn = put("n", k["n"] - k["t"])
    dV = put("V", np.eye(3))
    dK = put("K", np.outer(dn, r) - dV @ (C @ M).T)
    dr = put("r", K.T @ dn)
    dJ = put("J", (M @ C.T).T @ dK)
    dS = put("S", -J.T @ dJ @ J.T)
    k["by_gain"], k["by_S"] = dK @ J.T @ C, C.T @ dS @ C
    k["by_V"] = dV - (K @ C).T @ dV
    dM = put("M", k["by_V"] + k["by_gain"] + k["by_S"])
    dm = put("m", dn - C.T @ dr)
    k["of_gain"], k["of_r"] = J @ dK.T @ M, -np.outer(dr, m)
    k["of_V"], k["of_S"] = -K.T @ dV @ M.T, dS @ C @ M.T + dS.T @ C @ M
    put("C", k["of_gain"] + k["of_r"] + k["of_V"] + k["of_S"])
    put("R", dS)
    put("Q", dM)
    put("P", A.T @ dM @ A)
    put("A", dM @ A @ P.T + dM.T @ A @ P + np.outer(dm, k["x"]))
    put("x", A.T @ dm)


KALMAN = Net(
    "Kalman filter step", kalman, kalman_data, kalman_backward,
    (
        Plant("target forgotten", "n", lambda g, k: k["n"], r"target|left out"),
        Plant("path forgotten", "K", lambda g, k: np.outer(k["dn"], k["r"]), r"only|missing|path"),
        Plant("minus missing", "K", lambda g, k: np.outer(k["dn"], k["r"])
              + k["dV"] @ (k["C"] @ k["M"]).T, r"sign|minus|subtract"),
        Plant("another value", "K", lambda g, k: np.outer(k["dn"], k["z"])
              - k["dV"] @ (k["C"] @ k["M"]).T, r"z is used|left out"),
        Plant("another gain", "r", lambda g, k: k["C"] @ k["dn"], r"C is used|instead"),
        Plant("transposed, square", "J", lambda g, k: g.T, r"transpos|order"),
        Plant("one factor only", "J", lambda g, k: k["C"] @ k["dK"], r"left out|missing|M"),
        Plant("minus missing", "S", lambda g, k: -g, r"sign|minus"),
        Plant("inverse once only", "S", lambda g, k: -k["J"].T @ k["dJ"], r"once|left out|factor|inverse|instead|J"),
        Plant("inverse element by element", "S", lambda g, k: -k["dJ"] * k["J"].T ** 2,
              r"element by element"),
        Plant("passed on", "S", lambda g, k: k["dJ"], r"left out|as it is"),
        Plant("path of the gain forgotten", "M", lambda g, k: k["by_V"] + k["by_S"],
              r"only|missing|path"),
        Plant("path of S forgotten", "M", lambda g, k: k["by_V"] + k["by_gain"],
              r"only|missing|path"),
        Plant("covariance's path alone", "M", lambda g, k: k["by_V"], r"only|missing|path"),
        Plant("path twice", "M", lambda g, k: g + k["by_S"], r"twice"),
        Plant("minus missing", "m", lambda g, k: k["dn"] + k["C"].T @ k["dr"],
              r"sign|minus|subtract"),
        Plant("path forgotten", "m", lambda g, k: k["dn"], r"only|missing|path"),
        Plant("one of two uses", "C", lambda g, k: g - k["dS"].T @ k["C"] @ k["M"],
              r"only|missing|path"),
        Plant("minus missing", "C", lambda g, k: g - 2 * k["of_r"], r"sign|minus|subtract"),
        Plant("path forgotten", "C", lambda g, k: g - k["of_gain"], r"only|missing|path"),
        Plant("transpose missing", "P", lambda g, k: k["A"] @ k["dM"] @ k["A"].T, r"transpos|order"),
        Plant("one factor only", "P", lambda g, k: k["A"].T @ k["dM"], r"left out|missing"),
        Plant("one of two uses", "A", lambda g, k: k["dM"] @ k["A"] @ k["P"].T
              + np.outer(k["dm"], k["x"]), r"only|missing|path"),
        Plant("mean's path forgotten", "A", lambda g, k: g - np.outer(k["dm"], k["x"]),
              r"only|missing|path"),
        Plant("order of outer product", "A", lambda g, k: g - np.outer(k["dm"], k["x"])
              + np.outer(k["x"], k["dm"]), r"transpos|order"),
        Plant("transpose missing", "x", lambda g, k: k["A"] @ k["dm"], r"transpos"),
    ),
    ("A", "C", "Q", "R"),
)  # fmt: skip


# -- conditional random field ----------------------------------------------------------------------
def field(X, W, T, y):
    E = X @ W
    a = E[0]
    s = E[0, y[0]]
    for k in range(1, 5):
        a = F.logsumexp(a[:, None] + T, 0) + E[k]
        s = s + T[y[k - 1], y[k]] + E[k, y[k]]
    Z = F.logsumexp(a, 0)
    return Z - s


def field_data(r):
    return {"X": r.normal(size=(5, 4)), "W": 0.4 * r.normal(size=(4, 3)), "T": r.normal(size=(3, 3)),
            "y": np.array([0, 2, 1, 1, 2])}  # fmt: skip


def by_all_paths(E, T):
    """Marginals of states (5, 3) and of neighbouring pairs (4, 3, 3), summed over all paths."""
    one, two, total = np.zeros((5, 3)), np.zeros((4, 3, 3)), 0.0
    for path in np.ndindex(3, 3, 3, 3, 3):
        score = sum(E[k, s] for k, s in enumerate(path))
        weight = np.exp(score + sum(T[a, b] for a, b in pairwise(path)))
        total += weight
        for k, s in enumerate(path):
            one[k, s] += weight
        for k, (a, b) in enumerate(pairwise(path)):
            two[k, a, b] += weight
    return one / total, two / total


def field_backward(n, put):
    y = n["y"]
    E = n["E"] = n["X"] @ n["W"]
    n["p"], n["pp"] = by_all_paths(E, n["T"])
    n["hot"], n["counts"] = np.eye(3)[y], np.zeros((3, 3))
    np.add.at(n["counts"], (y[:-1], y[1:]), 1)
    put("T", n["pp"].sum(0) - n["counts"])
    dE = put("E", n["p"] - n["hot"])
    put("W", n["X"].T @ dE)


FIELD = Net(
    "conditional random field", field, field_data, field_backward,
    (
        Plant("label forgotten", "E", lambda g, n: n["p"], r"label|s = |not counted|only"),
        Plant("label forgotten", "T", lambda g, n: n["pp"].sum(0), r"label|s = |not counted|only"),
        Plant("label added", "E", lambda g, n: n["p"] + n["hot"], r"added|subtract|sign"),
        Plant("label added", "T", lambda g, n: n["pp"].sum(0) + n["counts"], r"added|subtract|sign"),
        Plant("label only", "E", lambda g, n: -n["hot"], r"only|missing|not counted"),
        Plant("label only", "T", lambda g, n: -n["counts"], r"only|missing|not counted"),
        Plant("label off by one", "E", lambda g, n: n["p"] - np.roll(n["hot"], 1, -1), r"off by one"),
        Plant("label of the neighbour", "E", lambda g, n: n["p"] - np.roll(n["hot"], 1, 0), r"off by one|shift|neighbour"),
        Plant("label's pair the other way round", "T", lambda g, n: n["pp"].sum(0) - n["counts"].T,
              r"transpos"),
        Plant("pairs the other way round", "T", lambda g, n: n["pp"].sum(0).T - n["counts"],
              r"transpos"),
        Plant("all the other way round", "T", lambda g, n: g.T, r"transpos"),
        Plant("label's repeated pairs assigned", "T",
              lambda g, n: n["pp"].sum(0) - np.minimum(n["counts"], 1), r"overwrit|instead of added"),
        Plant("label twice", "E", lambda g, n: n["p"] - 2 * n["hot"], r"twice"),
        Plant("last pair only", "T", lambda g, n: n["pp"][-1] - n["counts"], r"only|overwrit|missing|left out"),
        Plant("averaged", "W", lambda g, n: g / 5, r"averag|by 5"),
        Plant("transposed, not square", "W", lambda g, n: g.T, r"transpos"),
        Plant("last example only", "W", lambda g, n: np.outer(n["X"][4], n["dE"][4]), r"last"),
    ),
    ("W", "T"),
)  # fmt: skip
