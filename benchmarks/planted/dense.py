"""Batch norm and layer norm by hand, a residual MLP, softmax regression, sigmoids by hand."""

from __future__ import annotations

import numpy as np

import allbps.functional as F
from planted.plant import Net, Plant, sigma, softmax


# -- batch norm ------------------------------------------------------------------------------------
def batch_norm(x, gamma, beta, c):
    mu = np.mean(x, axis=0)
    xc = x - mu
    var = np.mean(xc**2, axis=0)
    sd = np.sqrt(var + 1e-5)
    xh = xc / sd
    y = gamma * xh + beta
    return np.sum(y**2 * c)


def batch_norm_data(r):
    return {"x": r.normal(size=(5, 3)), "gamma": r.normal(size=3), "beta": r.normal(size=3),
            "c": r.normal(size=(5, 3))}  # fmt: skip


def batch_norm_backward(n, put):
    x = n["x"]
    n["mu"] = x.mean(0)
    n["xc"] = x - n["mu"]
    n["var"] = (n["xc"] ** 2).mean(0)
    n["sd"] = np.sqrt(n["var"] + 1e-5)
    n["xh"] = n["xc"] / n["sd"]
    n["y"] = n["gamma"] * n["xh"] + n["beta"]
    dy = put("y", 2 * n["y"] * n["c"])
    put("beta", dy.sum(0))
    put("gamma", (dy * n["xh"]).sum(0))
    dxh = put("xh", dy * n["gamma"])
    dsd = put("sd", -(dxh * n["xc"]).sum(0) / n["sd"] ** 2)
    dvar = put("var", dsd / (2 * n["sd"]))
    dxc = put("xc", dxh / n["sd"] + dvar * 2 * n["xc"] / 5)
    dmu = put("mu", -dxc.sum(0))
    put("x", dxc + dmu / 5)


BATCH_NORM = Net(
    "batch norm", batch_norm, batch_norm_data, batch_norm_backward,
    (
        Plant("power too low", "y", lambda g, n: n["y"] * n["c"], r"factor|2|½|half"),
        Plant("beta not summed", "beta", lambda g, n: n["dy"], r"not summed|sum"),
        Plant("beta averaged", "beta", lambda g, n: g / 5, r"averag|by 5"),
        Plant("gamma without xh", "gamma", lambda g, n: n["dy"].sum(0), r"xh.*left out|left out"),
        Plant("gamma with x", "gamma", lambda g, n: (n["dy"] * n["x"]).sum(0), r"x is used|instead"),
        Plant("gamma with xc", "gamma", lambda g, n: (n["dy"] * n["xc"]).sum(0),
              r"xc is used|instead"),
        Plant("factor left out", "xh", lambda g, n: n["dy"], r"gamma.*left out|left out"),
        Plant("wrong factor", "xh", lambda g, n: n["dy"] * n["beta"], r"beta is used|instead"),
        Plant("minus missing", "sd", lambda g, n: -g, r"sign|minus"),
        Plant("1/sd for 1/sd²", "sd", lambda g, n: -(n["dxh"] * n["xc"]).sum(0) / n["sd"],
              r"sd|power|left out|factor|division"),
        Plant("xh for xc", "sd", lambda g, n: -(n["dxh"] * n["xh"]).sum(0) / n["sd"] ** 2,
              r"xh|xc|sd|instead|once"),
        Plant("½ missing", "var", lambda g, n: n["dsd"] / n["sd"], r"factor 2|0\.5|½|factor"),
        Plant("√ left out", "var", lambda g, n: n["dsd"] / (2 * n["var"]), r"var|instead|sd|sqrt"),
        Plant("derivative left out", "var", lambda g, n: n["dsd"], r"left out"),
        Plant("2 missing on a path", "xc", lambda g, n: n["dxh"] / n["sd"] + n["dvar"] * n["xc"] / 5,
              r"2|half|factor"),
        Plant("1/N missing on a path", "xc", lambda g, n: n["dxh"] / n["sd"]
              + n["dvar"] * 2 * n["xc"], r"by 5|mean|1/N|division|factor|N"),
        Plant("variance constant", "xc", lambda g, n: n["dxh"] / n["sd"], r"only|path|missing"),
        Plant("direct path forgotten", "xc", lambda g, n: n["dvar"] * 2 * n["xc"] / 5,
              r"only|path|missing"),
        Plant("minus missing", "mu", lambda g, n: -g, r"sign|minus"),
        Plant("averaged for summed", "mu", lambda g, n: g / 5, r"averag|by 5"),
        Plant("mean constant", "x", lambda g, n: n["dxc"], r"only|path|missing|left out|passed"),
        Plant("1/N missing", "x", lambda g, n: n["dxc"] + n["dmu"],
              r"by 5|mean|1/N|division|factor|N"),
        Plant("path twice", "x", lambda g, n: n["dxc"] + 2 * n["dmu"] / 5, r"twice"),
    ),
    ("x", "gamma", "beta"),
)  # fmt: skip


# -- layer norm, by its name -----------------------------------------------------------------------
def layer_norm(x, W, g, b, T):
    z = x @ W
    n = F.layer_norm(z, (4,))
    y = n * g + b
    a = F.gelu(y)
    return np.mean((a - T) ** 2)


def layer_norm_data(r):
    return {"x": r.normal(size=(3, 5)), "W": r.normal(size=(5, 4)), "g": r.normal(size=4),
            "b": r.normal(size=4), "T": r.normal(size=(3, 4))}  # fmt: skip


def layer_norm_backward(k, put):
    from scipy.special import ndtr

    z = k["z"] = k["x"] @ k["W"]
    k["s"] = np.sqrt(z.var(1, keepdims=True) + 1e-5)
    k["n"] = (z - z.mean(1, keepdims=True)) / k["s"]
    y = k["y"] = k["n"] * k["g"] + k["b"]
    k["Φ"], k["φ"] = ndtr(y), np.exp(-(y**2) / 2) / np.sqrt(2 * np.pi)
    k["a"] = y * k["Φ"]
    da = put("a", 2 * (k["a"] - k["T"]) / 12)
    dy = put("y", da * (k["Φ"] + y * k["φ"]))
    put("g", (dy * k["n"]).sum(0))
    put("b", dy.sum(0))
    dn = put("n", dy * k["g"])
    k["m"] = dn.mean(1, keepdims=True)
    k["v"] = k["n"] * (dn * k["n"]).mean(1, keepdims=True)
    dz = put("z", (dn - k["m"] - k["v"]) / k["s"])
    put("W", k["x"].T @ dz)
    put("x", dz @ k["W"].T)


LAYER_NORM = Net(
    "layer norm", layer_norm, layer_norm_data, layer_norm_backward,
    (
        Plant("mean over rows only", "a", lambda g, n: g * 4, r"by 4|mean|1/N"),
        Plant("1/N missing", "a", lambda g, n: g * 12, r"by 12|mean|1/N|division"),
        Plant("target forgotten", "a", lambda g, n: 2 * n["a"] / 12, r"target|instead|left out"),
        Plant("GELU′ left out", "y", lambda g, n: n["da"], r"left out"),
        Plant("Φ for GELU′", "y", lambda g, n: n["da"] * n["Φ"], r"left out|instead|missing"),
        Plant("GELU for GELU′", "y", lambda g, n: n["da"] * n["a"], r"itself"),
        Plant("g without n", "g", lambda g, n: n["dy"].sum(0), r"left out|instead"),
        Plant("b averaged", "b", lambda g, n: g / 3, r"averag|by 3"),
        Plant("wrong axis", "z", lambda g, k: (
            k["dn"] - k["dn"].mean(0, keepdims=True)
            - k["n"] * (k["dn"] * k["n"]).mean(0, keepdims=True)) / k["s"], r"axis"),
        Plant("mean and variance constant", "z", lambda g, k: k["dn"] / k["s"],
              r"constant|only|path"),
        Plant("variance constant", "z", lambda g, k: (k["dn"] - k["m"]) / k["s"],
              r"constant|left out|path"),
        Plant("mean constant", "z", lambda g, k: (k["dn"] - k["v"]) / k["s"],
              r"constant|left out|path"),
        Plant("deviation left out", "z", lambda g, k: k["dn"] - k["m"] - k["v"],
              r"deviation|left out"),
        Plant("sums for means", "z", lambda g, k: (k["dn"] - 4 * k["m"] - 4 * k["v"]) / k["s"],
              r"sum|1/N"),
        Plant("sign of the variance's path", "z", lambda g, k: (
            k["dn"] - k["m"] + k["v"]) / k["s"], r"sign|plus|minus"),
        Plant("variance for deviation", "z", lambda g, k: g / k["s"], r"varianc|division|once|power"),
        Plant("order of factors", "W", lambda g, n: (n["dz"].T @ n["x"]), r"transpos|order"),
        Plant("element by element", "x", lambda g, n: np.roll(g, 1, 0), r"shift|axis 0"),
    ),
    ("W", "g", "b"),
)  # fmt: skip


# -- residual MLP ----------------------------------------------------------------------------------
def residual(X, W1, W2, W3, T):
    A = X @ W1
    H = np.maximum(A, 0)
    B = H @ W2
    R = X + B
    Y = np.tanh(R @ W3)
    return 0.5 * np.sum((Y - T) ** 2) / 4


def residual_data(r):
    return {"X": r.normal(size=(4, 3)), "W1": r.normal(size=(3, 3)), "W2": r.normal(size=(3, 3)),
            "W3": r.normal(size=(3, 2)), "T": r.normal(size=(4, 2))}  # fmt: skip


def residual_backward(n, put):
    n["A"] = n["X"] @ n["W1"]
    n["H"] = np.maximum(n["A"], 0)
    n["B"] = n["H"] @ n["W2"]
    n["R"] = n["X"] + n["B"]
    n["Y"] = np.tanh(n["R"] @ n["W3"])
    dY = put("Y", (n["Y"] - n["T"]) / 4)
    n["dU"] = dY * (1 - n["Y"] ** 2)
    put("W3", n["R"].T @ n["dU"])
    dR = put("R", n["dU"] @ n["W3"].T)
    dB = put("B", dR)
    put("W2", n["H"].T @ dB)
    dH = put("H", dB @ n["W2"].T)
    dA = put("A", dH * (n["A"] > 0))
    put("W1", n["X"].T @ dA)
    put("X", dA @ n["W1"].T + dR)


RESIDUAL = Net(
    "residual MLP", residual, residual_data, residual_backward,
    (
        Plant("1/N missing", "Y", lambda g, n: g * 4, r"by 4|mean|1/N|division"),
        Plant("1/N of all", "Y", lambda g, n: g / 2, r"½|factor|by 2"),
        Plant("tanh′ left out", "R", lambda g, n: n["dY"] @ n["W3"].T, r"tanh.*left out|left out"),
        Plant("tanh′ left out", "W3", lambda g, n: n["R"].T @ n["dY"], r"left out"),
        Plant("σ′ for tanh′", "R", lambda g, n: (n["dY"] * n["Y"] * (1 - n["Y"])) @ n["W3"].T,
              r"sigmoid|another"),
        Plant("transpose missing", "H", lambda g, n: n["dB"] @ n["W2"], r"transpos"),
        Plant("another layer's weights", "H", lambda g, n: n["dB"] @ n["W1"].T, r"W1 is used|cache"),
        Plant("updated weights", "H", lambda g, n: n["dB"] @ (n["W2"] - 0.3 * n["dW2"]).T,
              r"updated"),
        Plant("mask of the output's δ", "A", lambda g, n: n["dH"] * (n["dH"] > 0), r"upstream"),
        Plant("mask left out", "A", lambda g, n: n["dH"], r"left out"),
        Plant("mask inverted", "A", lambda g, n: n["dH"] * (n["A"] < 0), r"invert"),
        Plant("value for mask", "A", lambda g, n: n["dH"] * n["H"], r"itself|instead"),
        Plant("another cache", "W2", lambda g, n: n["A"].T @ n["dB"], r"A is used|cache|instead"),
        Plant("transposed, square", "W2", lambda g, n: g.T, r"transpos|order"),
        Plant("last example only", "W1", lambda g, n: np.outer(n["X"][3], n["dA"][3]), r"last"),
        Plant("averaged", "W1", lambda g, n: g / 4, r"averag|by 4"),
        Plant("skip forgotten", "X", lambda g, n: n["dA"] @ n["W1"].T, r"only|missing|path"),
        Plant("branch forgotten", "X", lambda g, n: n["dR"], r"only|missing|path|passed|left out"),
        Plant("skip twice", "X", lambda g, n: g + n["dR"], r"twice"),
    ),
    ("W1", "W2", "W3"),
)  # fmt: skip


# -- softmax regression with L2 --------------------------------------------------------------------
def regression(X, W, b, y):
    S = X @ W + b
    e = np.exp(S)
    t = np.sum(e, axis=1, keepdims=True)
    p = e / t
    fit = -np.mean(np.log(p[np.arange(4), y]))
    return fit + 0.05 * np.sum(W**2)


def regression_data(r):
    return {"X": r.normal(size=(4, 3)), "W": r.normal(size=(3, 5)), "b": r.normal(size=5),
            "y": np.array([0, 4, 2, 2])}  # fmt: skip


def regression_backward(n, put):
    n["S"] = n["X"] @ n["W"] + n["b"]
    n["p"], n["hot"] = softmax(n["S"]), np.eye(5)[n["y"]]
    dS = put("S", (n["p"] - n["hot"]) / 4)
    put("b", dS.sum(0))
    put("W", n["X"].T @ dS + 0.1 * n["W"])
    put("X", dS @ n["W"].T)


REGRESSION = Net(
    "softmax regression", regression, regression_data, regression_backward,
    (
        Plant("1/N missing", "S", lambda g, n: g * 4, r"by 4|mean|1/N|division"),
        Plant("label forgotten", "S", lambda g, n: n["p"] / 4, r"label|one.?hot|only|missing"),
        Plant("y − p", "S", lambda g, n: -g, r"sign"),
        Plant("label off by one", "S", lambda g, n: (n["p"] - np.roll(n["hot"], 1, -1)) / 4,
              r"off by one"),
        Plant("softmax once more", "S", lambda g, n: g * n["p"] * (1 - n["p"]), r"once more"),
        Plant("stopped at −y/p", "S", lambda g, n: -n["hot"] / n["p"] / 4, r"stopped|left out"),
        Plant("bias averaged", "b", lambda g, n: g / 4, r"averag|by 4"),
        Plant("penalty forgotten", "W", lambda g, n: g - 0.1 * n["W"], r"only|missing|path"),
        Plant("λ for 2λ", "W", lambda g, n: g - 0.05 * n["W"], r"half|2|factor"),
        Plant("penalty twice", "W", lambda g, n: g + 0.1 * n["W"], r"twice|2"),
        Plant("penalty's sign", "W", lambda g, n: g - 0.2 * n["W"], r"sign|subtract"),
        Plant("fit forgotten", "W", lambda g, n: 0.1 * n["W"], r"only|missing|path"),
        Plant("updated weights", "X", lambda g, n: n["dS"] @ (n["W"] - 0.5 * n["dW"]).T,
              r"updated"),
        Plant("reshaped, not transposed", "X", lambda g, n: n["dS"] @ n["W"].reshape(5, 3),
              r"reshap"),
    ),
    ("W", "b"),
)  # fmt: skip


# -- sigmoids by hand, mean squared error ----------------------------------------------------------
def by_hand(X, W1, b1, W2, b2, Y):
    A1 = 1 / (1 + np.exp(-(X @ W1 + b1)))
    P = 1 / (1 + np.exp(-(A1 @ W2 + b2)))
    return np.mean(np.sum((P - Y) ** 2, axis=1))


def by_hand_data(r):
    return {"X": r.normal(size=(6, 3)), "W1": r.normal(size=(3, 4)), "b1": r.normal(size=4),
            "W2": r.normal(size=(4, 2)), "b2": r.normal(size=2), "Y": r.normal(size=(6, 2))}  # fmt: skip


def by_hand_backward(n, put):
    n["A1"] = sigma(n["X"] @ n["W1"] + n["b1"])
    n["P"] = sigma(n["A1"] @ n["W2"] + n["b2"])
    dP = put("P", 2 * (n["P"] - n["Y"]) / 6)
    n["d2"] = dP * n["P"] * (1 - n["P"])
    put("W2", n["A1"].T @ n["d2"])
    put("b2", n["d2"].sum(0))
    dA1 = put("A1", n["d2"] @ n["W2"].T)
    n["d1"] = dA1 * n["A1"] * (1 - n["A1"])
    put("W1", n["X"].T @ n["d1"])
    put("b1", n["d1"].sum(0))


BY_HAND = Net(
    "sigmoids by hand", by_hand, by_hand_data, by_hand_backward,
    (
        Plant("1/N missing", "P", lambda g, n: g * 6, r"by 6|mean|1/N|division"),
        Plant("averaged over columns too", "P", lambda g, n: g / 2, r"½|by 2|factor"),
        Plant("target forgotten", "P", lambda g, n: 2 * n["P"] / 6, r"target|instead|left out"),
        Plant("σ′ left out", "W2", lambda g, n: n["A1"].T @ n["dP"], r"left out"),
        Plant("σ′ left out", "A1", lambda g, n: n["dP"] @ n["W2"].T, r"left out"),
        Plant("σ′ left out", "W1", lambda g, n: n["X"].T @ n["dA1"], r"left out"),
        Plant("σ′ of the output", "W1", lambda g, n: n["X"].T @ (
            n["dA1"] * sigma(n["A1"]) * (1 - sigma(n["A1"]))), r"output"),
        Plant("σ for σ′", "b1", lambda g, n: (n["dA1"] * n["A1"]).sum(0), r"itself|left out|instead"),
        Plant("σ′ twice", "b2", lambda g, n: (n["d2"] * n["P"] * (1 - n["P"])).sum(0), r"twice"),
        Plant("bias not summed", "b1", lambda g, n: n["d1"], r"not summed|sum"),
        Plant("updated weights", "A1", lambda g, n: n["d2"] @ (n["W2"] - 0.5 * n["dW2"]).T,
              r"updated"),
        Plant("transposed, not square", "W1", lambda g, n: g.T, r"transpos"),
    ),
    ("W1", "b1", "W2", "b2"),
)  # fmt: skip


# -- label smoothing -------------------------------------------------------------------------------
def smoothed(X, W, b, T):
    Z = X @ W + b
    Q = 0.9 * T + 0.1 / 4
    L = F.log_softmax(Z, axis=1)
    return -np.mean(np.sum(Q * L, axis=1))


def smoothed_data(r):
    return {"X": r.normal(size=(3, 5)), "W": r.normal(size=(5, 4)), "b": r.normal(size=4),
            "T": np.eye(4)[[2, 0, 3]]}  # fmt: skip


def smoothed_backward(n, put):
    n["Z"] = n["X"] @ n["W"] + n["b"]
    n["p"], n["Q"] = softmax(n["Z"]), 0.9 * n["T"] + 0.1 / 4
    dZ = put("Z", (n["p"] - n["Q"]) / 3)
    put("b", dZ.sum(0))
    put("W", n["X"].T @ dZ)
    put("X", dZ @ n["W"].T)


SMOOTHED = Net(
    "label smoothing", smoothed, smoothed_data, smoothed_backward,
    (
        Plant("smoothing forgotten", "Z", lambda g, n: (n["p"] - n["T"]) / 3, r"smoothing is forg"),
        Plant("uniform part forgotten", "Z", lambda g, n: (n["p"] - 0.9 * n["T"]) / 3, r"uniform"),
        Plant("1 − ε forgotten", "Z", lambda g, n: (n["p"] - n["T"] - 0.1 / 4) / 3, r"1 − ε"),
        Plant("ε/(K − 1)", "Z", lambda g, n: (n["p"] - np.where(n["T"] > 0, 0.9, 0.1 / 3)) / 3,
              r"K − 1"),
        Plant("ε not divided", "Z", lambda g, n: (n["p"] - 0.9 * n["T"] - 0.1) / 3, r"not divided"),
        Plant("label forgotten", "Z", lambda g, n: n["p"] / 3, r"label|target"),
        Plant("p added", "Z", lambda g, n: (n["p"] + n["Q"]) / 3, r"added"),
        Plant("softmax once more", "Z", lambda g, n: n["p"] * (
            g - (g * n["p"]).sum(-1, keepdims=True)), r"once more"),
        Plant("stopped at −y/p", "Z", lambda g, n: -n["Q"] / n["p"] / 3, r"stopped"),
        Plant("softmax over examples", "Z", lambda g, n: (softmax(n["Z"], 0) - n["Q"]) / 3,
              r"axis"),
        Plant("1/N missing", "Z", lambda g, n: 3 * g, r"by 3"),
        Plant("bias averaged", "b", lambda g, n: g / 3, r"averag|by 3"),
    ),
    ("W", "b", "X"),
)  # fmt: skip
