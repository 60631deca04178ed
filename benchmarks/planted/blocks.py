"""A gated block with RMS norm, a state-space scan, and the colour of a ray."""

from __future__ import annotations

import numpy as np

from planted.plant import Net, Plant, sigma


# -- RMS norm and SwiGLU ---------------------------------------------------------------------------
def gated(X, g, W, V, O, T):
    r = np.sqrt(np.mean(X**2, axis=1, keepdims=True) + 1e-5)
    N = X / r
    U = N * g
    A = U @ W
    B = U @ V
    S = A / (1 + np.exp(-A))
    H = S * B
    Y = X + H @ O
    return np.mean((Y - T) ** 2)


def gated_data(r):
    return {"X": r.normal(size=(4, 3)), "g": 1 + 0.3 * r.normal(size=3),
            "W": r.normal(size=(3, 5)), "V": r.normal(size=(3, 5)), "O": r.normal(size=(5, 3)),
            "T": r.normal(size=(4, 3))}  # fmt: skip


def gated_backward(n, put):
    X, g = n["X"], n["g"]
    r = n["r"] = np.sqrt((X**2).mean(1, keepdims=True) + 1e-5)
    N = n["N"] = X / r
    U = n["U"] = N * g
    A, B = n["A"], n["B"] = U @ n["W"], U @ n["V"]
    f = n["f"] = sigma(A)
    S = n["S"] = A * f
    H = n["H"] = S * B
    n["Y"] = X + H @ n["O"]
    dY = put("Y", 2 * (n["Y"] - n["T"]) / 12)
    put("O", H.T @ dY)
    dH = put("H", dY @ n["O"].T)
    dS = put("S", dH * B)
    dB = put("B", dH * S)
    dA = put("A", dS * (f + A * f * (1 - f)))
    put("W", U.T @ dA)
    put("V", U.T @ dB)
    dU = put("U", dA @ n["W"].T + dB @ n["V"].T)
    put("g", (dU * N).sum(0))
    dN = put("N", dU * g)
    n["through"] = N * (dN * N).mean(1, keepdims=True)
    n["normed"] = (dN - n["through"]) / r
    put("X", dY + n["normed"])


GATED = Net(
    "RMS norm and SwiGLU", gated, gated_data, gated_backward,
    (
        Plant("factor 2 missing", "Y", lambda g, n: g / 2, r"½|factor"),
        Plant("mean over examples only", "Y", lambda g, n: g * 3, r"by 3|mean"),
        Plant("target forgotten", "Y", lambda g, n: n["Y"] / 6, r"target|left out|forgotten"),
        Plant("reshaped, not transposed", "H", lambda g, n: n["dY"] @ n["O"].reshape(3, 5),
              r"reshap"),
        Plant("another value", "O", lambda g, n: n["S"].T @ n["dY"], r"S is used|left out"),
        Plant("factor left out", "S", lambda g, n: n["dH"], r"left out|as it is"),
        Plant("own factor", "S", lambda g, n: n["dH"] * n["S"], r"S is used|own value"),
        Plant("another value", "B", lambda g, n: n["dH"] * n["A"], r"A is used"),
        Plant("activation′ left out", "A", lambda g, n: n["dS"], r"left out"),
        Plant("part of a derivative", "A", lambda g, n: n["dS"] * n["f"], r"first part|SiLU|left out"),
        Plant("another derivative", "A", lambda g, n: n["dS"] * n["f"] * (1 - n["f"]),
              r"sigmoid|x is left out|factor"),
        Plant("derivative at the output", "A", lambda g, n: n["dS"] * (
            sigma(n["S"]) * (1 + n["S"] * (1 - sigma(n["S"])))), r"at its output"),
        Plant("minus for plus", "A", lambda g, n: n["dS"] * (n["f"] - n["A"] * n["f"] * (1 - n["f"])),
              r"minus|sign"),
        Plant("another value", "W", lambda g, n: n["N"].T @ n["dA"], r"N is used"),
        Plant("another δ", "V", lambda g, n: n["U"].T @ n["dA"], r"δA"),
        Plant("path forgotten", "U", lambda g, n: n["dA"] @ n["W"].T, r"only|missing|path"),
        Plant("paths exchanged", "U", lambda g, n: n["dA"] @ n["V"].T + n["dB"] @ n["W"].T,
              r"exchanged"),
        Plant("not summed", "g", lambda g, n: n["dU"] * n["N"], r"not summed"),
        Plant("another value", "g", lambda g, n: (n["dU"] * n["X"]).sum(0), r"X is used|X instead"),
        Plant("averaged", "g", lambda g, n: g / 4, r"averag|by 4"),
        Plant("gain left out", "N", lambda g, n: n["dU"], r"left out|as it is"),
        Plant("skip forgotten", "X", lambda g, n: n["normed"], r"only|missing|path"),
        Plant("skip alone", "X", lambda g, n: n["dY"], r"only|missing|path"),
        Plant("term of a norm", "X", lambda g, n: n["dY"] + n["dN"] / n["r"],
              r"only|missing|left out|constant"),
        Plant("sum for mean in a norm", "X", lambda g, n: (
            n["dY"] + (n["dN"] - 3 * n["through"]) / n["r"]), r"sum|mean|averag|division by 3"),
        Plant("deviation left out", "X", lambda g, n: n["dY"] + n["dN"] - n["through"],
              r"left out|divi"),
        Plant("sign in a norm", "X", lambda g, n: n["dY"] + (n["dN"] + n["through"]) / n["r"],
              r"sign|plus|minus|subtract"),
    ),
    ("g", "W", "V", "O"),
)  # fmt: skip


# -- state-space scan ------------------------------------------------------------------------------
def scanned(x, D, A, B, C, t):
    d = np.log1p(np.exp(x @ D))
    g = np.exp(d * A)
    u = d * x * B
    h = np.zeros(3)
    loss = 0.0
    for k in range(5):
        h = g[k] * h + u[k]
        loss = loss + (h @ C - t[k]) ** 2
    return loss


def scanned_data(r):
    return {"x": r.normal(size=(5, 3)), "D": r.normal(size=(3, 3)), "A": -0.5 - r.random(3),
            "B": r.normal(size=3), "C": r.normal(size=3), "t": r.normal(size=5)}  # fmt: skip


def scanned_backward(n, put):
    x, A = n["x"], n["A"]
    z = n["z"] = x @ n["D"]
    d = n["d"] = np.log1p(np.exp(z))
    g = n["g"] = np.exp(d * A)
    u = n["u"] = d * x * n["B"]
    h = np.zeros((6, 3))
    for k in range(5):
        h[k + 1] = g[k] * h[k] + u[k]
    n["now"], n["before"] = h[1:], h[:-1]
    n["e"] = 2 * (h[1:] @ n["C"] - n["t"])
    n["local"] = n["e"][:, None] * n["C"]
    dh = np.zeros((6, 3))
    for k in range(4, -1, -1):
        later = g[k + 1] * dh[k + 1] if k < 4 else 0.0
        n["ahead"] = dh[k + 1].copy()
        dh[k] = put(f"h_{k + 1}", n["local"][k] + later)
    dh = n["dh"] = dh[:5]
    put("C", n["e"] @ n["now"])
    du = put("u", dh)
    dg = put("g", dh * n["before"])
    n["by_u"], n["by_g"] = du * x * n["B"], dg * g * A
    dd = put("d", n["by_u"] + n["by_g"])
    put("A", (dg * g * d).sum(0))
    put("B", (du * d * x).sum(0))
    put("D", x.T @ (dd * sigma(z)))


SCANNED = Net(
    "state-space scan", scanned, scanned_data, scanned_backward,
    (
        Plant("factor 2 missing", "C", lambda g, n: g / 2, r"½|factor"),
        Plant("another value in every turn", "C", lambda g, n: n["e"] @ n["u"], r"u.* is used"),
        Plant("last step only", "C", lambda g, n: n["e"][-1] * n["now"][-1],
              r"only|last|missing|overwrit"),
        Plant("another step's state", "C", lambda g, n: n["e"] @ n["before"],
              r"last turn"),
        Plant("recurrence forgotten", "h_3", lambda g, n: n["local"][2], r"only|missing|path"),
        Plant("output forgotten", "h_3", lambda g, n: n["g"][3] * n["ahead"],
              r"only|missing|path"),
        Plant("gate left out", "h_2", lambda g, n: n["local"][1] + n["ahead"], r"left out"),
        Plant("another step's gate", "h_2", lambda g, n: n["local"][1] + n["g"][1] * n["ahead"],
              r"g\[1\] is used instead"),
        Plant("another step's state", "g", lambda g, n: n["dh"] * n["now"], r"next turn"),
        Plant("another value in every turn", "g", lambda g, n: n["dh"] * n["u"], r"u.* is used"),
        Plant("state left out", "g", lambda g, n: n["dh"], r"left out"),
        Plant("path forgotten", "d", lambda g, n: n["by_u"], r"only|missing|path"),
        Plant("path forgotten", "d", lambda g, n: n["by_g"], r"only|missing|path"),
        Plant("factor left out", "d", lambda g, n: n["by_u"] + n["dg"] * n["g"], r"A.*left out|as if"),
        Plant("activation′ left out", "d", lambda g, n: n["by_u"] + n["dg"] * n["A"],
              r"exp|g .*left out|left out"),
        Plant("another factor", "d", lambda g, n: n["du"] * n["x"] + n["by_g"], r"B.*left out|as if"),
        Plant("not summed", "A", lambda g, n: n["dg"] * n["g"] * n["d"], r"not summed"),
        Plant("factor left out", "A", lambda g, n: (n["dg"] * n["g"]).sum(0), r"d.*left out|as if"),
        Plant("averaged", "B", lambda g, n: g / 5, r"averag|by 5"),
        Plant("factor left out", "B", lambda g, n: (n["du"] * n["x"]).sum(0), r"d.*left out|as if"),
        Plant("activation′ left out", "D", lambda g, n: n["x"].T @ n["dd"],
              r"left out|softplus"),
        Plant("function for derivative", "D", lambda g, n: n["x"].T @ (n["dd"] * n["d"]),
              r"softplus itself|instead|d is used"),
        Plant("another derivative", "D", lambda g, n: n["x"].T @ (
            n["dd"] * sigma(n["z"]) * (1 - sigma(n["z"]))), r"sigmoid|twice|derivative"),
        Plant("transposed, square", "D", lambda g, n: g.T, r"transpos"),
    ),
    ("A", "B", "C", "D"),
)  # fmt: skip


# -- the colour of a ray ---------------------------------------------------------------------------
def rendered(s, c, t, b):
    o = np.maximum(s, 0)
    a = 1 - np.exp(-o * t)
    q = 1 - a
    T = np.cumprod(q, axis=1)
    P = np.concatenate([np.ones((3, 1)), T[:, :-1]], axis=1)
    w = P * a
    C = np.sum(w[:, :, None] * c, axis=1)
    return 0.5 * np.sum((C - b) ** 2)


def rendered_data(r):
    return {"s": r.normal(size=(3, 5)) + 0.4, "c": r.random((3, 5, 4)),
            "t": 0.3 + r.random(5), "b": r.random((3, 4))}  # fmt: skip


def rendered_backward(n, put):
    t, c = n["t"], n["c"]
    o = n["o"] = np.maximum(n["s"], 0)
    a = n["a"] = 1 - np.exp(-o * t)
    q = n["q"] = 1 - a
    T = n["T"] = np.cumprod(q, axis=1)
    P = n["P"] = np.concatenate([np.ones((3, 1)), T[:, :-1]], axis=1)
    w = n["w"] = P * a
    n["C"] = (w[:, :, None] * c).sum(1)
    dC = put("C", n["C"] - n["b"])
    put("c", w[:, :, None] * dC[:, None, :])
    dw = put("w", (dC[:, None, :] * c).sum(2))
    dP = put("P", dw * a)
    dT = put("T", np.concatenate([dP[:, 1:], np.zeros((3, 1))], axis=1))
    n["run"] = np.cumsum((dT * T)[:, ::-1], axis=1)[:, ::-1]
    dq = put("q", n["run"] / q)
    da = put("a", dw * P - dq)
    do = put("o", da * t * np.exp(-o * t))
    put("s", do * (n["s"] > 0))


RENDERED = Net(
    "volume rendering", rendered, rendered_data, rendered_backward,
    (
        Plant("target forgotten", "C", lambda g, n: n["C"], r"target|left out|forgotten"),
        Plant("another value", "c", lambda g, n: n["P"][:, :, None] * n["dC"][:, None, :],
              r"P is used"),
        Plant("another value", "c", lambda g, n: n["a"][:, :, None] * n["dC"][:, None, :],
              r"a is used"),
        Plant("factor left out", "c", lambda g, n: 0 * n["c"] + n["dC"][:, None, :],
              r"left out|as if it were 1"),
        Plant("averaged", "w", lambda g, n: g / 4, r"averag|by 4"),
        Plant("channel forgotten", "w", lambda g, n: (n["dC"][:, None, :] * n["c"])[..., 0],
              r"first|only"),
        Plant("own factor", "P", lambda g, n: n["dw"] * n["P"], r"P is used|own value"),
        Plant("factor left out", "P", lambda g, n: n["dw"], r"left out|as it is"),
        Plant("not shifted", "T", lambda g, n: n["dP"], r"shift|as it is|left out"),
        Plant("shifted the other way", "T", lambda g, n: np.concatenate(
            [np.zeros((3, 1)), n["dP"][:, :-1]], axis=1), r"shift"),
        Plant("running sum the other way", "q", lambda g, n: np.cumsum(n["dT"] * n["T"], 1) / n["q"],
              r"first instead of the last"),
        Plant("running sum left out", "q", lambda g, n: n["dT"] * n["T"] / n["q"],
              r"sum|left out|only"),
        Plant("division left out", "q", lambda g, n: n["run"], r"division|left out"),
        Plant("last value's cache", "q", lambda g, n: np.cumsum(
            (n["dT"] * n["q"])[:, ::-1], axis=1)[:, ::-1] / n["q"], r"q is used|instead"),
        Plant("path forgotten", "a", lambda g, n: n["dw"] * n["P"], r"only|missing|path"),
        Plant("path forgotten", "a", lambda g, n: -n["dq"], r"only|missing|path"),
        Plant("minus missing", "a", lambda g, n: n["dw"] * n["P"] + n["dq"],
              r"sign|subtract|minus"),
        Plant("factor left out", "o", lambda g, n: n["da"] * np.exp(-n["o"] * n["t"]),
              r"t.*left out|as if"),
        Plant("exp′ left out", "o", lambda g, n: n["da"] * n["t"], r"exp|left out"),
        Plant("minus missing", "o", lambda g, n: n["da"] * n["t"] * np.exp(n["o"] * n["t"]),
              r"sign|minus"),
        Plant("sign", "o", lambda g, n: -g, r"sign|minus"),
        Plant("another value", "o", lambda g, n: n["da"] * n["t"] * n["a"], r"a is used|instead"),
        Plant("activation′ left out", "s", lambda g, n: n["do"], r"ReLU is left out"),
        Plant("both masks", "s", lambda g, n: n["do"] * (n["s"] > 0) * (n["do"] > 0), r"both masks|upstream"),
    ),
    ("s", "c"),
)  # fmt: skip
