"""Steps in parts: right, and the same bits for any number of workers."""

import math
from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import allbps as bp
import allbps.functional as F
from allbps.errors import ArgumentError, NonFiniteError, ShapeError, WorkerError
from allbps.machine.common import CommonPacket, packet_for
from allbps.machine.exchange import Alone
from allbps.machine.parted import PartedStep
from allbps.machine.parts import Tree, blocks, bounds
from allbps.optim import LAMB, SGD, Adam, clip_grad_norm
from allbps.tree import leaves

from ._threads import NearThreadExchange, ThreadExchange, together

RNG = np.random.default_rng(3)
P = {"W": RNG.normal(size=(7, 6)) * 0.4, "b": RNG.normal(size=7), "V": RNG.normal(size=(4, 7))}
X, LABELS = RNG.normal(size=(21, 6)), RNG.integers(0, 4, 21)


def scores(p, x):
    return F.linear(F.tanh(F.linear(x, p["W"], p["b"])), p["V"])


def mean_loss(p, x, labels):
    return F.cross_entropy(scores(p, x), labels)


# -- sums over parts ---------------------------------------------------------------------------
@given(st.integers(1, 40), st.integers(1, 12))
def test_every_part_lies_in_one_stretch_and_sizes_differ_by_one(count, parts):
    found = bounds(count, parts)
    assert (found[0][0], found[-1][1], len(found)) == (0, count, parts)
    sizes = [stop - start for start, stop in found]
    assert max(sizes) - min(sizes) <= 1
    assert all(a[1] == b[0] for a, b in pairwise(found))


@given(st.integers(1, 33), st.data())
def test_a_tree_adds_in_one_order_wherever_it_is_cut(parts, data):
    cuts = sorted(data.draw(st.lists(st.integers(0, parts), max_size=6)))
    whole = Tree(lambda a, b: f"({a}{b})")
    for k in range(parts):
        whole.push(0, k, chr(65 + k))
    joined = Tree(lambda a, b: f"({a}{b})")
    for first, stop in zip([0, *cuts], [*cuts, parts], strict=True):
        own = Tree(lambda a, b: f"({a}{b})")
        for k in range(first, stop):
            own.push(0, k, chr(65 + k))
        assert [block[:2] for block in own.blocks] == list(blocks(first, stop))
        for block in own.blocks:
            joined.push(*block)
    assert joined.total() == whole.total()


@pytest.mark.parametrize("size", [1, 2, 3, 5, 8])
@pytest.mark.parametrize("used", [8, 3])
@pytest.mark.parametrize("how", [ThreadExchange, NearThreadExchange])
def test_a_packet_is_the_sum_of_its_parts(size, used, how):
    values = RNG.normal(size=(8, 11)).astype(np.float32)

    def work(exchange):
        packet = packet_for([4, 7], np.dtype(np.float32), exchange, 8)
        assert isinstance(packet, CommonPacket) == (how is NearThreadExchange and size > 1)
        for _ in range(2):
            packet.begin()
            for k in range(*bounds(8, size)[exchange.rank]):
                packet.push(
                    (lambda flat, k=k: flat[:11].__setitem__(..., values[k])) if k < used else None
                )
            take = packet.exchanged(used)
            exchange.gather(np.zeros(size, np.uint8), np.zeros(1, np.uint8))()
            take()
        return packet.total[:11].copy(), packet.array(1).copy()

    results, errors = together(size, work, how) if size > 1 else ([work(Alone())], [])
    assert not errors
    exact = [float(sum(Fraction(float(v)) for v in column)) for column in values[:used].T]
    for total, second in results:
        np.testing.assert_allclose(total, exact, rtol=0, atol=1e-6)
        np.testing.assert_array_equal(total, results[0][0])
        np.testing.assert_array_equal(second, total[4:])


# -- a step in parts is the step on the whole batch ------------------------------------------------
def masked(p, x, labels):
    return F.cross_entropy(scores(p, x), labels, ignore_index=0)


LOSSES = {
    "mean": mean_loss,
    "sum": lambda p, x, labels: F.cross_entropy(scores(p, x), labels, reduction="sum"),
    "half a square": lambda p, x, labels: F.euclidean_loss(scores(p, x)[:, 0], 1.0 * labels),
    "by len": lambda p, x, labels: np.sum((scores(p, x)[:, 0] - labels) ** 2) / len(x),
    "times one over len": lambda p, x, labels: np.sum(scores(p, x) ** 2) * (1 / len(labels)),
    "mean of means": lambda p, x, labels: np.sum(np.mean(scores(p, x) ** 2, axis=0)),
    "an inner product": lambda p, x, labels: scores(p, x)[:, 0] @ scores(p, x)[:, 1],
    "with a penalty": lambda p, x, labels: mean_loss(p, x, labels) + 0.1 * np.sum(p["W"] ** 2),
    "two means": lambda p, x, labels: mean_loss(p, x, labels) - 2 * np.mean(scores(p, x)),
    "weights": lambda p, x, labels: F.cross_entropy(
        scores(p, x), labels, np.array([0.5, 2.0, 1.0, 3.0])
    ),
    "labels that do not count": masked,
}


@pytest.mark.filterwarnings("ignore::allbps.machine.building.FallbackWarning")
@pytest.mark.parametrize("loss", LOSSES.values(), ids=LOSSES)
def test_parts_come_to_the_whole(loss):
    """Judged by the gradient of the loss of the whole batch, in plain NumPy."""
    optimizer = Adam(0.01)
    step = bp.compile(loss, P, X, LABELS, params="p", optimizer=optimizer, max_norm=0.3, parts=4)
    p, state = P, optimizer.init(P)
    for rows in (np.arange(21), np.arange(20)[::-1]):
        value, grads = bp.value_and_grad(loss)(p, X[rows], LABELS[rows])
        p, state = optimizer.update(p, clip_grad_norm(grads, 0.3)[0], state)
        np.testing.assert_allclose(step(X[rows], LABELS[rows]), value, rtol=1e-9)
    for name, found in step.params["p"].items():
        np.testing.assert_allclose(found, p[name], rtol=1e-8, atol=1e-12)


def test_parts_follow_torch():
    step = bp.compile(
        mean_loss, P, X, LABELS, params="p", optimizer=SGD(0.1, momentum=0.9), max_norm=0.2, parts=5
    )
    theirs = {name: torch.tensor(p, requires_grad=True) for name, p in P.items()}
    optimizer = torch.optim.SGD(theirs.values(), lr=0.1, momentum=0.9)
    for _ in range(6):
        optimizer.zero_grad()
        hidden = torch.tanh(torch.tensor(X) @ theirs["W"].T + theirs["b"])
        loss = torch.nn.functional.cross_entropy(hidden @ theirs["V"].T, torch.tensor(LABELS))
        loss.backward()
        torch.nn.utils.clip_grad_norm_(theirs.values(), 0.2)
        optimizer.step()
        np.testing.assert_allclose(step(X, LABELS), loss.item(), rtol=1e-10)
    for name, p in step.params["p"].items():
        np.testing.assert_allclose(p, theirs[name].detach().numpy(), rtol=1e-9)


REFUSED = {
    "a root": lambda p, x, labels: np.sqrt(np.mean(scores(p, x) ** 2)),
    "the largest": lambda p, x, labels: np.max(scores(p, x)),
    "a product of means": lambda p, x, labels: np.mean(scores(p, x)) * np.mean(x),
    "a sum and a penalty": lambda p, x, labels: np.sum(scores(p, x) ** 2) + np.sum(p["W"] ** 2),
    "pairs of examples": lambda p, x, labels: np.mean(scores(p, x) @ scores(p, x).T),
    "neighbours": lambda p, x, labels: np.mean((scores(p, x)[1:] - scores(p, x)[:-1]) ** 2),
    "softmax over the batch": lambda p, x, labels: np.mean(F.softmax(scores(p, x), axis=0) ** 2),
    "running sums": lambda p, x, labels: np.mean(np.cumsum(scores(p, x), axis=0)),
    "weights that sum to one": lambda p, x, labels: np.sum(
        scores(p, x)[:, 0] * (x[:, 0] / np.sum(x[:, 0]))
    ),
    "one example": lambda p, x, labels: np.sum(scores(p, x)[0]),
    "divided by what is learnt": lambda p, x, labels: np.sum(x) / np.sum(scores(p, x)),
    "a loop over examples": lambda p, x, labels: sum(np.sum(row**2) for row in scores(p, x)),
    "a mean and a sum": lambda p, x, labels: np.mean(scores(p, x)) + np.sum(scores(p, x)),
}


@pytest.mark.parametrize("loss", REFUSED.values(), ids=REFUSED)
def test_a_loss_that_parts_do_not_come_to_is_refused(loss):
    with pytest.raises(ArgumentError, match="cannot be taken in parts"):
        bp.compile(loss, P, X, LABELS, params="p", optimizer=SGD(0.1), parts=4)


@pytest.mark.filterwarnings("ignore::allbps.machine.building.FallbackWarning")
def test_parts_that_count_in_different_ways_are_refused():
    labels = np.ones(16, int)
    step = bp.compile(masked, P, X[:16], labels, params="p", optimizer=SGD(0.1), parts=4)
    labels[-1] = 0  # only the last part has one that does not count
    with pytest.raises(ArgumentError, match="counts in one way in some parts"):
        step(X[:16], labels)


# -- the same bits ---------------------------------------------------------------------------------
def trained(exchange, parts=8, loss=None):
    """Everything at once: dropout, batch statistics, clipping, uneven parts, empty parts."""
    rng = bp.random.Generator(5)

    def usual(p, x, labels, seen):
        z = F.linear(x, p["W"], p["b"])
        m = np.mean(z, axis=0)
        z = F.linear(F.dropout(F.tanh(z - m), 0.3, rng=rng), p["V"])
        return (F.cross_entropy(z, labels), np.sum(F.relu(z))), {"m": 0.9 * seen["m"] + 0.1 * m}

    p = {name: array.astype(np.float32) for name, array in P.items()}
    x, seen = X.astype(np.float32), {"m": np.zeros(7, np.float32)}
    step = bp.compile(
        loss or usual, p, x, LABELS, seen, params="p", carry="seen", optimizer=LAMB(0.01),
        max_norm=0.5, parts=parts, group=exchange,
    )  # fmt: skip
    found = []
    for rows in (21, 21, 3, 8, 21):
        loss_, beside = step(x[:rows], LABELS[:rows])
        found += [float(loss_), *beside.tolist()]
    return found, bits(step)


def bits(step):
    kept = [step.params, step.optimizer_state, step.carried or {}]
    return [np.asarray(leaf).tobytes() for leaf in leaves(kept)]


@pytest.fixture(scope="module")
def alone():
    return trained(None)


@pytest.mark.parametrize(
    ("size", "how"),
    [*((n, ThreadExchange) for n in (1, 2, 3, 4, 8)), *((n, NearThreadExchange) for n in (2, 3))],
)
def test_any_number_of_workers_makes_the_same_bits(alone, size, how):
    results, errors = together(size, trained, how)
    assert not errors
    assert all(result == alone for result in results)


def test_packets_that_leave_while_the_step_runs_change_no_bit(alone, monkeypatch):
    from allbps.machine import part

    monkeypatch.setattr(part, "PACKET", 16)
    told = []
    usual = PartedStep._made
    monkeypatch.setattr(PartedStep, "_made", lambda self, *a: (told.append(a[0]), usual(self, *a)))
    results, errors = together(2, trained)
    assert not errors
    assert all(result == alone for result in results)
    assert len(set(told)) > 3


def test_packets_leave_before_the_step_ends(monkeypatch):
    from allbps.machine import part

    monkeypatch.setattr(part, "PACKET", 16)
    step = bp.compile(mean_loss, P, X, LABELS, params="p", optimizer=SGD(0.1), parts=2)
    step(X, LABELS)
    assert step._last.told_early
    rows = [row["work"] for row in step.stages().rows]
    first = next(k for k, work in enumerate(rows) if work.startswith("packet"))
    assert any(row["flops"] for row in step.stages().rows[first + 1 :]), rows


def test_other_parts_make_other_bits_but_the_same_training(alone):
    assert trained(None, parts=5)[1] != alone[1]


def test_a_step_goes_on_elsewhere_with_the_same_bits():
    how = {"params": "p", "optimizer": Adam(0.01), "parts": 6}
    one = bp.compile(mean_loss, P, X, LABELS, **how)
    one(X, LABELS)
    kept = one.params, one.optimizer_state
    expected = [one(X[:20], LABELS[:20]), *bits(one)]

    def go_on(exchange):
        other = bp.compile(mean_loss, P, X[:9], LABELS[:9], **how, group=exchange)
        other.params, other.optimizer_state = kept
        return [other(X[:20], LABELS[:20]), *bits(other)]

    results, errors = together(3, go_on)
    assert not errors
    assert all(result == expected for result in results)


def flattened(p, x, labels):
    """Behind the convolution the columns of ``p["W"]`` lie scattered in memory."""
    h = F.relu(F.conv2d(x, p["K"], p["b"]))
    return F.cross_entropy(F.linear(h.reshape(len(x), -1), p["W"]), labels)


def test_parameters_that_lie_scattered_are_read_and_set():
    rng = np.random.default_rng(11)
    p = {"K": rng.normal(size=(3, 2, 2, 2)), "b": rng.normal(size=3)}
    p["W"] = rng.normal(size=(4, 3 * 4 * 4)) * 0.2
    x, labels = rng.normal(size=(8, 2, 5, 5)), rng.integers(0, 4, 8)
    how = {"params": "p", "optimizer": Adam(0.01)}
    one, whole = (bp.compile(flattened, p, x, labels, **how, parts=n) for n in (4, None))
    losses = [one(x, labels) for _ in range(2)]
    np.testing.assert_allclose(losses, [whole(x, labels) for _ in range(2)], rtol=1e-12)
    for name, array in whole.params["p"].items():
        assert (array != p[name]).any()
        np.testing.assert_allclose(one.params["p"][name], array, rtol=1e-9)
    other = bp.compile(flattened, p, x, labels, **how, parts=4)
    other.params, other.optimizer_state = one.params, one.optimizer_state
    assert [other(x, labels), *bits(other)] == [one(x, labels), *bits(one)]
    assert bits(other) != bits(bp.compile(flattened, p, x, labels, **how, parts=4))


def test_an_epoch_and_a_share_are_steps():
    how = {"params": "p", "optimizer": Adam(0.01), "parts": 3}
    one, other, third = (bp.compile(mean_loss, P, X, LABELS, **how) for _ in range(3))
    order = np.array([[0, 5, 7, 9], [3, 1, 2, 20]])
    losses = one.run_epoch(X, LABELS, order=order)
    again = [other(X[row], LABELS[row]) for row in order]
    more = [third.on_share(4, X[row][third.share(4)], LABELS[row]) for row in order]
    assert losses.tolist() == again == more
    assert bits(one) == bits(other) == bits(third)


# -- what goes wrong -------------------------------------------------------------------------------
def test_a_loss_that_is_no_number_stops_every_worker_with_its_origin():
    bad = X.copy()
    bad[17, 2] = np.nan

    def work(exchange):
        step = bp.compile(
            mean_loss, P, X, LABELS, params="p", optimizer=SGD(0.1), parts=8, group=exchange
        )
        step(X, LABELS)
        before = bits(step)
        with pytest.raises(NonFiniteError, match="the loss is nan") as caught:
            step(bad, LABELS)
        assert bits(step) == before
        step(X, LABELS)
        return str(caught.value)

    (first, *others), errors = together(3, work)
    assert not errors
    assert "x is the first value that is not finite" in first
    assert all(text == first for text in others)


def test_an_error_of_one_worker_is_told_to_all():
    def work(exchange):
        step = bp.compile(
            mean_loss, P, X, LABELS, params="p", optimizer=SGD(0.1), parts=8, group=exchange
        )
        labels = LABELS.copy()
        labels[20] = 9
        step(X, labels if exchange.rank == 1 else LABELS)

    _, (first, second) = together(2, work)
    assert isinstance(first, WorkerError)
    assert "worker 1 of 2 could not take the step" in str(first)
    assert "class index out of range" in str(first)
    assert "class index out of range" in str(second)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda step: setattr(step, "taken", 3), "the number of the step"),
        (
            lambda step: setattr(step, "params", {"p": {**P, "b": P["b"] + 1e-9}}),
            "parameters, optimiser or seeds",
        ),
    ],
)
def test_workers_that_stand_elsewhere_are_refused(change, said):
    def work(exchange):
        step = bp.compile(
            mean_loss, P, X, LABELS, params="p", optimizer=SGD(0.1), parts=8, group=exchange
        )
        if exchange.rank == 1:
            change(step)
        step(X, LABELS)

    _, errors = together(2, work)
    assert len(errors) == 2
    assert all(f"workers differ in {said}" in str(error) for error in errors)


def test_batches_of_different_sizes_are_refused():
    def work(exchange):
        step = bp.compile(
            mean_loss, P, X, LABELS, params="p", optimizer=SGD(0.1), parts=4, group=exchange
        )
        count = 20 + exchange.rank
        step(X[:count], LABELS[:count])

    _, errors = together(2, work)
    assert all("workers differ in the size of the batch" in str(error) for error in errors)


def test_seeds_of_their_own_are_refused():
    def work(exchange):
        rng = np.random.default_rng(exchange.rank)
        step = bp.compile(
            lambda p, x: np.mean(F.dropout(x @ p["W"].T, 0.5, rng=rng) ** 2),
            P, X, params="p", optimizer=SGD(0.1), parts=4, group=exchange,
        )  # fmt: skip
        step(X)

    _, errors = together(2, work)
    assert len(errors) == 2
    assert all("parameters, optimiser or seeds" in str(error) for error in errors)


def count_carried(p, x, labels, seen):
    return mean_loss(p, x, labels), {"n": seen["n"] + np.sum(1.0 * (labels == 0))}


MISUSES = {
    "parts of nothing": (mean_loss, {"parts": 0}, "parts is of the wrong kind"),
    "no optimizer": (
        mean_loss,
        {"parts": 2, "optimizer": None},
        "parts= and group= need optimizer=",
    ),
    "a group that is none": (mean_loss, {"group": "gloo"}, "group is not a process group"),
    "arrays beside the loss": (
        lambda p, x, labels: (mean_loss(p, x, labels), x),
        {"parts": 2},
        "single numbers beside the loss",
    ),
}


@pytest.mark.parametrize(("loss", "how", "said"), MISUSES.values(), ids=MISUSES)
def test_misuse_is_refused(loss, how, said):
    with pytest.raises(ArgumentError, match=said):
        bp.compile(loss, P, X, LABELS, **{"params": "p", "optimizer": SGD(0.1), **how})


def test_a_count_is_not_carried():
    with pytest.raises(ArgumentError, match="is a count over the batch"):
        bp.compile(
            count_carried, P, X, LABELS, {"n": np.zeros(())}, params="p", carry="seen",
            optimizer=SGD(0.1), parts=4,
        )  # fmt: skip


def test_more_workers_than_parts_are_refused():
    _, errors = together(
        3,
        lambda exchange: bp.compile(
            mean_loss, P, X, LABELS, params="p", optimizer=SGD(0.1), parts=2, group=exchange
        ),
    )
    assert len(errors) == 3
    assert all("more workers than parts" in str(error) for error in errors)


def test_arguments_of_different_lengths_are_refused():
    step = bp.compile(mean_loss, P, X, LABELS, params="p", optimizer=SGD(0.1), parts=2)
    with pytest.raises(ShapeError, match="differ in their number of examples"):
        step(X, LABELS[:-1])
    with pytest.raises(ArgumentError, match="nothing to cut"):
        step(X[:0], LABELS[:0])
    assert math.isfinite(step(X, LABELS))
