"""An attention head, an LSTM step, a GRU step, and bags of embeddings."""

from __future__ import annotations

import numpy as np

import allbps.functional as F
from planted.plant import Net, Plant, sigma, softmax


# -- attention -------------------------------------------------------------------------------------
def attention(X, Wq, Wk, Wv, G):
    Q = X @ Wq
    K = X @ Wk
    V = X @ Wv
    S = Q @ K.T / np.sqrt(3)
    P = F.softmax(S, 1)
    O = P @ V
    return np.sum(O * G)


def attention_data(r):
    return {"X": r.normal(size=(4, 5)), "Wq": r.normal(size=(5, 3)), "Wk": r.normal(size=(5, 3)),
            "Wv": r.normal(size=(5, 3)), "G": r.normal(size=(4, 3))}  # fmt: skip


def attention_backward(n, put):
    n["Q"], n["K"], n["V"] = (n["X"] @ n[w] for w in ("Wq", "Wk", "Wv"))
    n["S"] = n["Q"] @ n["K"].T / np.sqrt(3)
    n["P"] = softmax(n["S"])
    dO = put("O", n["G"])
    dP = put("P", dO @ n["V"].T)
    dV = put("V", n["P"].T @ dO)
    dS = put("S", n["P"] * (dP - (dP * n["P"]).sum(1, keepdims=True)))
    dQ = put("Q", dS @ n["K"] / np.sqrt(3))
    dK = put("K", dS.T @ n["Q"] / np.sqrt(3))
    put("Wq", n["X"].T @ dQ)
    put("Wk", n["X"].T @ dK)
    put("Wv", n["X"].T @ dV)
    put("X", dQ @ n["Wq"].T + dK @ n["Wk"].T + dV @ n["Wv"].T)


ATTENTION = Net(
    "attention", attention, attention_data, attention_backward,
    (
        Plant("transpose missing", "V", lambda g, n: n["P"] @ n["dO"], r"transpos"),
        Plant("another value", "P", lambda g, n: n["dO"] @ n["K"].T, r"K is used|instead of V"),
        Plant("diagonal only", "S", lambda g, n: n["dP"] * n["P"] * (1 - n["P"]), r"diagonal"),
        Plant("sum left out", "S", lambda g, n: n["dP"] * n["P"], r"sum|left out"),
        Plant("sum over the wrong axis", "S", lambda g, n: n["P"] * (
            n["dP"] - (n["dP"] * n["P"]).sum(0, keepdims=True)), r"axis"),
        Plant("sum without p", "S", lambda g, n: n["P"] * (
            n["dP"] - n["dP"].sum(1, keepdims=True)), r"Σ δ instead|sum|left out"),
        Plant("mean for sum", "S", lambda g, n: n["P"] * (
            n["dP"] - (n["dP"] * n["P"]).mean(1, keepdims=True)), r"mean|averag"),
        Plant("plus for minus", "S", lambda g, n: n["P"] * (
            n["dP"] + (n["dP"] * n["P"]).sum(1, keepdims=True)), r"plus|sign"),
        Plant("derivative left out", "S", lambda g, n: n["dP"], r"left out"),
        Plant("scale missing", "Q", lambda g, n: n["dS"] @ n["K"], r"scale|√|division|factor"),
        Plant("scale twice", "K", lambda g, n: g / np.sqrt(3), r"scale|√|division|twice|once too"),
        Plant("1/d for 1/√d", "Q", lambda g, n: n["dS"] @ n["K"] / 3, r"√|once too|by 3|scale"),
        Plant("transpose missing", "K", lambda g, n: n["dS"] @ n["Q"] / np.sqrt(3), r"transpos"),
        Plant("Q and K exchanged", "Q", lambda g, n: n["dS"] @ n["Q"] / np.sqrt(3),
              r"instead of|used"),
        Plant("Q and K exchanged", "K", lambda g, n: n["dS"].T @ n["K"] / np.sqrt(3),
              r"instead of|used"),
        Plant("one position only", "Wq", lambda g, n: np.outer(n["X"][0], n["dQ"][0]), r"first"),
        Plant("averaged", "Wv", lambda g, n: g / 4, r"averag|by 4"),
        Plant("transposed, not square", "Wk", lambda g, n: g.T, r"transpos"),
        Plant("another δ", "Wk", lambda g, n: n["X"].T @ n["dQ"], r"dQ|δQ"),
        Plant("use forgotten", "X", lambda g, n: g - n["dV"] @ n["Wv"].T, r"only|missing|path"),
        Plant("uses overwritten", "X", lambda g, n: n["dV"] @ n["Wv"].T, r"only|overwrit"),
        Plant("use twice", "X", lambda g, n: g + n["dK"] @ n["Wk"].T, r"twice"),
        Plant("updated weights", "X", lambda g, n: (
            n["dQ"] @ (n["Wq"] - 0.2 * n["dWq"]).T + n["dK"] @ n["Wk"].T + n["dV"] @ n["Wv"].T),
            r"updated"),
    ),
    ("Wq", "Wk", "Wv"),
)  # fmt: skip


# -- LSTM ------------------------------------------------------------------------------------------
def lstm(Wf, Wi, Wg, Wo, b, x, h0, c0, t):
    z = np.concatenate([h0, x])
    af = Wf @ z + b
    f = 1 / (1 + np.exp(-af))
    ai = Wi @ z
    i = F.sigmoid(ai)
    ag = Wg @ z
    g = np.tanh(ag)
    ao = Wo @ z
    o = F.sigmoid(ao)
    c = f * c0 + i * g
    T = np.tanh(c)
    h = o * T
    return 0.5 * np.sum((h - t) ** 2)


def lstm_data(r):
    return {**{w: r.normal(size=(3, 5)) for w in ("Wf", "Wi", "Wg", "Wo")},
            "b": r.normal(size=3), "x": r.normal(size=2), "h0": r.normal(size=3),
            "c0": r.normal(size=3), "t": r.normal(size=3)}  # fmt: skip


def lstm_backward(n, put):
    z = n["z"] = np.concatenate([n["h0"], n["x"]])
    n["af"], n["ai"], n["ag"], n["ao"] = (
        n["Wf"] @ z + n["b"], n["Wi"] @ z, n["Wg"] @ z, n["Wo"] @ z
    )  # fmt: skip
    n["f"], n["i"], n["g"], n["o"] = (
        sigma(n["af"]), sigma(n["ai"]), np.tanh(n["ag"]), sigma(n["ao"])
    )  # fmt: skip
    n["c"] = n["f"] * n["c0"] + n["i"] * n["g"]
    n["T"] = np.tanh(n["c"])
    n["h"] = n["o"] * n["T"]
    dh = put("h", n["h"] - n["t"])
    dT = put("T", dh * n["o"])
    dc = put("c", dT * (1 - n["T"] ** 2))
    do = put("o", dh * n["T"])
    dao = put("ao", do * n["o"] * (1 - n["o"]))
    dg = put("g", dc * n["i"])
    dag = put("ag", dg * (1 - n["g"] ** 2))
    di = put("i", dc * n["g"])
    dai = put("ai", di * n["i"] * (1 - n["i"]))
    df = put("f", dc * n["c0"])
    daf = put("af", df * n["f"] * (1 - n["f"]))
    put("c0", dc * n["f"])
    put("b", daf)
    for w, d in (("Wf", daf), ("Wi", dai), ("Wg", dag), ("Wo", dao)):
        put(w, np.outer(d, z))
    put("z", n["Wf"].T @ daf + n["Wi"].T @ dai + n["Wg"].T @ dag + n["Wo"].T @ dao)


LSTM = Net(
    "LSTM step", lstm, lstm_data, lstm_backward,
    (
        Plant("target forgotten", "h", lambda g, n: n["h"], r"target|left out|instead of"),
        Plant("tanh′ left out", "c", lambda g, n: n["dT"], r"left out"),
        Plant("tanh′ of the output", "c", lambda g, n: n["dT"] * (1 - np.tanh(n["T"]) ** 2),
              r"output|twice"),
        Plant("tanh′ of the input", "c", lambda g, n: n["dT"] * (1 - n["c"] ** 2), r"input"),
        Plant("square missing", "c", lambda g, n: n["dT"] * (1 - n["T"]), r"square|power|\*\*"),
        Plant("σ′ left out", "ao", lambda g, n: n["do"], r"left out"),
        Plant("σ′ left out, by hand", "af", lambda g, n: n["df"], r"left out"),
        Plant("σ′ of the output", "ai", lambda g, n: n["di"] * sigma(n["i"]) * (1 - sigma(n["i"])),
              r"output"),
        Plant("σ′ of the input", "ai", lambda g, n: n["di"] * n["ai"] * (1 - n["ai"]), r"input"),
        Plant("σ for σ′", "ao", lambda g, n: n["do"] * n["o"], r"itself|instead|left out"),
        Plant("1 − σ for σ′", "ao", lambda g, n: n["do"] * (1 - n["o"]), r"left out|instead"),
        Plant("σ′ twice", "af", lambda g, n: g * n["f"] * (1 - n["f"]), r"twice"),
        Plant("another derivative", "ag", lambda g, n: n["dg"] * n["g"] * (1 - n["g"]),
              r"sigmoid|another"),
        Plant("another derivative", "af", lambda g, n: n["df"] * (1 - n["f"] ** 2),
              r"tanh|another|instead"),
        Plant("gates exchanged", "g", lambda g, n: n["dc"] * n["f"], r"f is used|instead of i"),
        Plant("cell after the step", "f", lambda g, n: n["dc"] * n["c"], r"c is used|instead of c0"),
        Plant("path forgotten", "z", lambda g, n: g - n["Wo"].T @ n["dao"], r"only|missing|path"),
        Plant("path twice", "z", lambda g, n: g + n["Wf"].T @ n["daf"], r"twice"),
        Plant("paths overwritten", "z", lambda g, n: n["Wo"].T @ n["dao"], r"only|overwrit"),
        Plant("another δ", "Wi", lambda g, n: np.outer(n["daf"], n["z"]), r"δaf|daf"),
        Plant("another cache", "T", lambda g, n: n["dh"] * n["i"], r"i is used|instead of o"),
    ),
    ("Wf", "Wi", "Wg", "Wo", "b"),
)  # fmt: skip


# -- GRU -------------------------------------------------------------------------------------------
def gru(Wz, Wr, Wn, Un, x, h, t):
    v = np.concatenate([h, x])
    az = Wz @ v
    z = F.sigmoid(az)
    ar = Wr @ v
    r = F.sigmoid(ar)
    u = Un @ h
    m = r * u
    an = Wn @ x + m
    n = np.tanh(an)
    y = (1 - z) * n + z * h
    return np.mean((y - t) ** 2)


def gru_data(r):
    return {"Wz": r.normal(size=(3, 5)), "Wr": r.normal(size=(3, 5)), "Wn": r.normal(size=(3, 2)),
            "Un": r.normal(size=(3, 3)), "x": r.normal(size=2), "h": r.normal(size=3),
            "t": r.normal(size=3)}  # fmt: skip


def gru_backward(k, put):
    v = k["v"] = np.concatenate([k["h"], k["x"]])
    k["z"], k["r"], k["u"] = sigma(k["Wz"] @ v), sigma(k["Wr"] @ v), k["Un"] @ k["h"]
    k["m"] = k["r"] * k["u"]
    k["an"] = k["Wn"] @ k["x"] + k["m"]
    k["n"] = np.tanh(k["an"])
    k["y"] = (1 - k["z"]) * k["n"] + k["z"] * k["h"]
    dy = put("y", 2 * (k["y"] - k["t"]) / 3)
    dn = put("n", dy * (1 - k["z"]))
    dz = put("z", dy * (k["h"] - k["n"]))
    daz = put("az", dz * k["z"] * (1 - k["z"]))
    dan = put("an", dn * (1 - k["n"] ** 2))
    dm = put("m", dan)
    dr = put("r", dm * k["u"])
    du = put("u", dm * k["r"])
    dar = put("ar", dr * k["r"] * (1 - k["r"]))
    put("Wz", np.outer(daz, v))
    put("Wr", np.outer(dar, v))
    put("Wn", np.outer(dan, k["x"]))
    put("Un", np.outer(du, k["h"]))
    dv = put("v", k["Wz"].T @ daz + k["Wr"].T @ dar)
    put("h", dv[:3] + k["Un"].T @ du + dy * k["z"])


GRU = Net(
    "GRU step", gru, gru_data, gru_backward,
    (
        Plant("1/N missing", "y", lambda g, n: g * 3, r"by 3|mean|1/N|division"),
        Plant("target forgotten", "y", lambda g, n: 2 * n["y"] / 3, r"target|instead of|left out"),
        Plant("1 − z for z", "n", lambda g, n: n["dy"] * n["z"], r"z is used|instead"),
        Plant("path forgotten", "z", lambda g, n: n["dy"] * n["h"], r"only|missing|path|left out"),
        Plant("sign of a path", "z", lambda g, n: n["dy"] * (n["h"] + n["n"]), r"sign|minus|plus|subtract"),
        Plant("σ′ left out", "az", lambda g, n: n["dz"], r"left out"),
        Plant("tanh′ left out", "an", lambda g, n: n["dn"], r"left out"),
        Plant("tanh′ of the input", "an", lambda g, n: n["dn"] * (1 - n["an"] ** 2), r"input"),
        Plant("gates exchanged", "u", lambda g, n: n["dm"] * n["z"], r"z is used|instead of r"),
        Plant("another value", "r", lambda g, n: n["dm"] * n["h"], r"h is used|instead of u"),
        Plant("order of outer product", "Un", lambda g, n: g.T, r"transpos|order"),
        Plant("transpose missing", "h", lambda g, n: g - n["Un"].T @ n["du"] + n["Un"] @ n["du"],
              r"transpos"),
        Plant("path forgotten", "h", lambda g, n: g - n["dy"] * n["z"], r"only|missing|path"),
        Plant("paths overwritten", "h", lambda g, n: n["Un"].T @ n["du"], r"only|overwrit"),
        Plant("path forgotten", "v", lambda g, n: n["Wz"].T @ n["Wz"] @ n["v"] * 0
              + n["Wz"].T @ n["daz"], r"only|missing|path"),
    ),
    ("Wz", "Wr", "Wn", "Un"),
)  # fmt: skip


# -- a bag of embeddings ---------------------------------------------------------------------------
def bag(E, W, idx, y):
    V = E[idx]
    M = np.mean(V, axis=1)
    S = M @ W
    return F.cross_entropy(S, y)


def bag_data(r):
    return {"E": r.normal(size=(6, 3)), "W": r.normal(size=(3, 4)),
            "idx": np.array([[0, 2, 2], [5, 0, 1]]), "y": np.array([3, 1])}  # fmt: skip


def bag_backward(n, put):
    n["V"] = n["E"][n["idx"]]
    n["M"] = n["V"].mean(1)
    n["p"], n["hot"] = softmax(n["M"] @ n["W"]), np.eye(4)[n["y"]]
    dS = put("S", (n["p"] - n["hot"]) / 2)
    put("W", n["M"].T @ dS)
    dM = put("M", dS @ n["W"].T)
    dV = put("V", np.repeat(dM[:, None] / 3, 3, 1))
    dE = np.zeros_like(n["E"])
    np.add.at(dE, n["idx"], dV)
    put("E", dE)


def assigned(g, n):
    out = np.zeros_like(n["E"])
    out[n["idx"]] = n["dV"]
    return out


BAG = Net(
    "embedding bag", bag, bag_data, bag_backward,
    (
        Plant("label forgotten", "S", lambda g, n: n["p"] / 2, r"label|one.?hot"),
        Plant("softmax once more", "S", lambda g, n: n["p"] * (
            g - (g * n["p"]).sum(-1, keepdims=True)), r"once more"),
        Plant("p added", "S", lambda g, n: (n["p"] + n["hot"]) / 2, r"added|sign|label"),
        Plant("averaged over classes", "S", lambda g, n: g / 4, r"by 4|averag"),
        Plant("transposed, not square", "W", lambda g, n: g.T, r"transpos"),
        Plant("last example only", "W", lambda g, n: np.outer(n["M"][1], n["dS"][1]), r"last"),
        Plant("reshaped, not transposed", "M", lambda g, n: n["dS"] @ n["W"].reshape(4, 3),
              r"reshap"),
        Plant("updated weights", "M", lambda g, n: n["dS"] @ (n["W"] - 0.5 * n["dW"]).T,
              r"updated"),
        Plant("1/N missing", "V", lambda g, n: g * 3, r"by 3|mean|1/N|division"),
        Plant("1/N twice", "V", lambda g, n: g / 3, r"by 3|averag|twice"),
        Plant("repeated index assigned", "E", assigned, r"overwrit|instead of added"),
        Plant("averaged over examples", "E", lambda g, n: g / 2, r"½|averag|factor"),
    ),
    ("E", "W"),
)  # fmt: skip


# -- a bag of embeddings with a penalty ------------------------------------------------------------
def penalised(E, W, idx, y):
    V = E[idx]
    M = np.mean(V, axis=1)
    S = M @ W
    fit = F.cross_entropy(S, y)
    return fit + 0.05 * np.sum(E**2)


def penalised_backward(n, put):
    def put_and_add(name, g):
        return put(name, g + 0.1 * n["E"] if name == "E" else g)

    n["count"] = np.bincount(n["idx"].ravel(), minlength=6)[:, None]
    n["used"] = n["count"] > 0
    n["decay"] = 0.1 * n["E"]
    bag_backward(n, put_and_add)


PENALISED = Net(
    "penalised embeddings", penalised, bag_data, penalised_backward,
    (
        Plant("penalty forgotten", "E", lambda g, n: g - n["decay"], r"only|missing|path"),
        Plant("penalty on used rows only", "E", lambda g, n: g - n["decay"] * ~n["used"],
              r"only where|used"),
        Plant("penalty once a use", "E", lambda g, n: g + n["decay"] * (n["count"] - 1.0),
              r"each time|once for each"),
        Plant("penalty forgotten on used rows", "E", lambda g, n: g - n["decay"] * n["used"],
              r"not counted where"),
        Plant("penalty twice on used rows", "E", lambda g, n: g + n["decay"] * n["used"],
              r"twice where|twice"),
        Plant("λ for 2λ", "E", lambda g, n: g - n["decay"] / 2, r"half|factor"),
        Plant("repeated index assigned", "E", lambda g, n: assigned(g, n) + n["decay"],
              r"overwrit|instead of added"),
    ),
    ("E", "W"),
)  # fmt: skip
