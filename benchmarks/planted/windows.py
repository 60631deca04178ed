"""A group norm after a dilated convolution, and a strided convolution sliced by hand."""

from __future__ import annotations

import numpy as np

import allbps.functional as F
from planted.plant import Net, Plant, softmax


# -- group norm ------------------------------------------------------------------------------------
def grouped(X, K, g, b, V, y):
    Z = F.conv2d(X, K, dilation=2, padding=2)
    R = Z.reshape(2, 2, 2, 5, 5)
    c = R - np.mean(R, axis=(2, 3, 4), keepdims=True)
    N = c / np.sqrt(np.mean(c**2, axis=(2, 3, 4), keepdims=True) + 1e-5)
    Y = N.reshape(2, 4, 5, 5) * g + b
    H = np.maximum(Y, 0)
    h = np.mean(H, axis=(2, 3))
    S = h @ V
    return F.cross_entropy(S, y)


def grouped_data(r):
    return {"X": r.normal(size=(2, 3, 5, 5)), "K": r.normal(size=(4, 3, 3, 3)),
            "g": r.normal(size=(4, 1, 1)), "b": r.normal(size=(4, 1, 1)),
            "V": 4 * r.normal(size=(4, 3)), "y": np.array([2, 0])}  # fmt: skip


def patch(x, a, b, step=2):
    """The pixels that meet tap (a, b) of a kernel: (N, C, 5, 5)."""
    return x[:, :, step * a : step * a + 5, step * b : step * b + 5]


def dilated(x, K, step=2):
    x = np.pad(x, ((0, 0), (0, 0), (2, 2), (2, 2)))
    taps = np.ndindex(3, 3)
    return sum(np.einsum("ncij,oc->noij", patch(x, a, b, step), K[:, :, a, b]) for a, b in taps)


def of_kernel(x, dZ, step=2):
    x = np.pad(x, ((0, 0), (0, 0), (2, 2), (2, 2)))
    out = np.zeros((4, 3, 3, 3))
    for a, b in np.ndindex(3, 3):
        out[:, :, a, b] = np.einsum("noij,ncij->oc", dZ, patch(x, a, b, step))
    return out


def of_image(dZ, K, step=2, flip=True):
    K = K.transpose(1, 0, 2, 3)
    return dilated(dZ, K[:, :, ::-1, ::-1] if flip else K, step)


def over(x, axes):
    return x.mean(axes, keepdims=True)


GROUP = (2, 3, 4)


def grouped_backward(n, put):
    n["Z"] = dilated(n["X"], n["K"])
    R = n["R"] = n["Z"].reshape(2, 2, 2, 5, 5)
    c = n["c"] = R - over(R, GROUP)
    n["s"] = np.sqrt(over(c**2, GROUP) + 1e-5)
    n["N"] = c / n["s"]
    n["flat"] = n["N"].reshape(2, 4, 5, 5)
    n["Y"] = n["flat"] * n["g"] + n["b"]
    n["H"] = np.maximum(n["Y"], 0)
    n["h"] = n["H"].mean((2, 3))
    n["p"], n["hot"] = softmax(n["h"] @ n["V"]), np.eye(3)[n["y"]]
    dS = put("S", (n["p"] - n["hot"]) / 2)
    put("V", n["h"].T @ dS)
    dh = put("h", dS @ n["V"].T)
    dH = put("H", np.broadcast_to(dh[:, :, None, None] / 25, n["H"].shape))
    dY = put("Y", dH * (n["Y"] > 0))
    put("b", dY.sum((0, 2, 3))[:, None, None])
    put("g", (dY * n["flat"]).sum((0, 2, 3))[:, None, None])
    dN = put("N", (dY * n["g"]).reshape(2, 2, 2, 5, 5))
    dc = put("c", (dN - n["N"] * over(dN * n["N"], GROUP)) / n["s"])
    dR = put("R", dc - over(dc, GROUP))
    dZ = put("Z", dR.reshape(2, 4, 5, 5))
    put("K", of_kernel(n["X"], dZ))
    put("X", of_image(dZ, n["K"]))


GROUPED = Net(
    "group norm", grouped, grouped_data, grouped_backward,
    (
        Plant("label off by one", "S", lambda g, n: (n["p"] - np.roll(n["hot"], 1, -1)) / 2,
              r"off by one"),
        Plant("1/N missing", "H", lambda g, n: 25 * g, r"by 25|mean|1/N"),
        Plant("1/N along one axis", "H", lambda g, n: 5 * g, r"by 5|mean|1/N"),
        Plant("mask left out", "Y", lambda g, n: n["dH"] * 1.0, r"left out|as it is"),
        Plant("mask of the upstream", "Y", lambda g, n: n["dH"] * (n["dH"] > 0), r"upstream"),
        Plant("mask of the normalised", "Y", lambda g, n: n["dH"] * (n["flat"] > 0),
              r"N|instead|mask"),
        Plant("bias summed over examples only", "b", lambda g, n: n["dY"].sum(0),
              r"summed over|not summed|only"),
        Plant("bias averaged over pixels", "b", lambda g, n: g / 25, r"by 25|averag"),
        Plant("g without N", "g", lambda g, n: n["dY"].sum((0, 2, 3))[:, None, None],
              r"left out|as it is|summed"),
        Plant("g with c", "g", lambda g, n: (
            n["dY"] * n["c"].reshape(2, 4, 5, 5)).sum((0, 2, 3))[:, None, None], r"c is used|instead|division"),
        Plant("factor left out", "N", lambda g, n: n["dY"].reshape(2, 2, 2, 5, 5), r"left out"),
        Plant("variance constant", "c", lambda g, n: n["dN"] / n["s"], r"constant|only|path"),
        Plant("deviation left out", "c", lambda g, n: n["dN"] - n["N"] * over(
            n["dN"] * n["N"], GROUP), r"left out|missing"),
        Plant("sum for mean", "c", lambda g, n: (n["dN"] - 50 * n["N"] * over(
            n["dN"] * n["N"], GROUP)) / n["s"], r"by 50|sum|1/N"),
        Plant("over pixels only", "c", lambda g, n: (n["dN"] - n["N"] * over(
            n["dN"] * n["N"], (3, 4))) / n["s"], r"ax[ei]s"),
        Plant("value in the variance's path", "c", lambda g, n: (n["dN"] - n["c"] * over(
            n["dN"] * n["c"], GROUP)) / n["s"], r"instead|power|division|deviation"),
        Plant("mean constant", "R", lambda g, n: n["dc"], r"constant|only|path|as it is"),
        Plant("over pixels only", "R", lambda g, n: n["dc"] - over(n["dc"], (3, 4)), r"ax[ei]s"),
        Plant("mean added", "R", lambda g, n: n["dc"] + over(n["dc"], GROUP), r"sign|subtract|minus"),
        Plant("groups interleaved", "Z", lambda g, n: n["dR"].swapaxes(1, 2).reshape(2, 4, 5, 5),
              r"order|exchanged|transpos"),
        Plant("dilation ignored", "K", lambda g, n: of_kernel(n["X"], n["dZ"], 1), r"dilat|stride"),
        Plant("kernel's gradient turned", "K", lambda g, n: g[:, :, ::-1, ::-1], r"180|turned"),
        Plant("first example only", "K", lambda g, n: of_kernel(n["X"][:1], n["dZ"][:1]), r"first"),
        Plant("dilation ignored", "X", lambda g, n: of_image(n["dZ"], n["K"], 1), r"dilat|stride"),
        Plant("kernel not flipped", "X", lambda g, n: of_image(n["dZ"], n["K"], flip=False), r"flip"),
    ),
    ("K", "g", "b", "V"),
)  # fmt: skip


# -- convolutions sliced by hand -------------------------------------------------------------------
def sliced(X, K, V, t):
    rows = []
    for i in range(3):
        for j in range(3):
            rows.append(np.sum(X[:, 2 * i : 2 * i + 3, 2 * j : 2 * j + 3] * K, axis=(1, 2)))
    J = np.stack(rows, axis=1)
    H = np.tanh(J)
    Y = H @ V
    return 0.5 * np.sum((Y - t) ** 2)


def tapped(X, K, V, t):
    """The same, a tap of the kernel at a time."""
    total = 0
    for a in range(3):
        for b in range(3):
            total = total + X[:, a : a + 5 : 2, b : b + 5 : 2] * K[a, b]
    J = total.reshape(2, 9)
    H = np.tanh(J)
    Y = H @ V
    return 0.5 * np.sum((Y - t) ** 2)


def sliced_data(r):
    return {"X": r.normal(size=(2, 7, 7)), "K": r.normal(size=(3, 3)), "V": r.normal(size=(9, 2)),
            "t": r.normal(size=(2, 2))}  # fmt: skip


def window(X, i, j, step=2):
    return X[:, step * i : step * i + 3, step * j : step * j + 3]


def placed(dJ, K, step=2, assign=False):
    out = np.zeros((2, 7, 7))
    for i, j in np.ndindex(3, 3):
        g = dJ[:, 3 * i + j, None, None] * K
        window(out, i, j, step)[...] = g if assign else window(out, i, j, step) + g
    return out


def gathered(X, dJ, step=2):
    places = np.ndindex(3, 3)
    return sum((dJ[:, 3 * i + j, None, None] * window(X, i, j, step)).sum(0) for i, j in places)


def sliced_backward(n, put):
    windows = [(window(n["X"], i, j) * n["K"]).sum((1, 2)) for i, j in np.ndindex(3, 3)]
    n["J"] = np.stack(windows, axis=1)
    n["H"] = np.tanh(n["J"])
    n["Y"] = n["H"] @ n["V"]
    dY = put("Y", n["Y"] - n["t"])
    put("V", n["H"].T @ dY)
    dH = put("H", dY @ n["V"].T)
    dJ = put("J", dH * (1 - n["H"] ** 2))
    put("K", gathered(n["X"], dJ))
    put("X", placed(dJ, n["K"]))


SLICED_MISTAKES = (
    Plant("stride forgotten", "K", lambda g, n: gathered(n["X"], n["dJ"], 1), r"stride"),
    Plant("stride forgotten", "X", lambda g, n: placed(n["dJ"], n["K"], 1), r"stride"),
    Plant("overlap overwritten", "X", lambda g, n: placed(n["dJ"], n["K"], assign=True),
          r"overwrit|instead of added"),
    Plant("kernel turned", "X", lambda g, n: placed(n["dJ"], n["K"][::-1, ::-1]), r"turned|180|flip"),
    Plant("kernel transposed", "X", lambda g, n: placed(n["dJ"], n["K"].T), r"transpos"),
    Plant("kernel's gradient turned", "K", lambda g, n: g[::-1, ::-1], r"turned|180"),
    Plant("first window only", "K", lambda g, n: (
        n["dJ"][:, 0, None, None] * window(n["X"], 0, 0)).sum(0), r"first|only"),
    Plant("last window only", "X", lambda g, n: placed(
        n["dJ"] * (np.arange(9) == 8), n["K"]), r"last|only"),
    Plant("first example only", "K", lambda g, n: gathered(n["X"][:1], n["dJ"][:1]), r"first"),
    Plant("averaged over windows", "K", lambda g, n: g / 9, r"by 9|averag"),
    Plant("rows and columns exchanged", "X", lambda g, n: g.swapaxes(1, 2), r"transpos"),
    Plant("tanh′ left out", "J", lambda g, n: n["dH"], r"left out"),
)  # fmt: skip

SLICED = Net("sliced convolution", sliced, sliced_data, sliced_backward, SLICED_MISTAKES,
             ("K", "V"))  # fmt: skip
TAPPED = Net("convolution by taps", tapped, sliced_data, sliced_backward,
             tuple(p for p in SLICED_MISTAKES if "window only" not in p.kind), ("K", "V"))  # fmt: skip
