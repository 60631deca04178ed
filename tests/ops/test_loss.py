"""Losses: the lecture's δ, exactly; and numbers too large or too small for the plain formulas."""

import numpy as np
import pytest

import allbps as bp
import allbps.functional as F
from allbps.ops.loss import soft_cross_entropy_op
from allbps.trace import trace


def rules_used(f, *xs, wrt):
    """Operation names in the backward pass of an explained function."""
    from allbps.backward import backward

    back = backward(trace(f, *xs), wrt=wrt)
    return {node.op.name for delta in back.deltas.values() for node in [delta.node]}, back


# -- Euclidean -------------------------------------------------------------------------------------
def test_delta_of_the_euclidean_loss_is_the_error():
    Yp, Y = np.array([[3.0, 1.0], [0.5, 2.0]]), np.array([[1.0, 1.0], [1.0, -1.0]])
    value, (dYp, dY) = bp.value_and_grad(F.euclidean_loss, (0, 1))(Yp, Y)
    assert value == 0.5 * (4 + 0 + 0.25 + 9)
    np.testing.assert_array_equal(dYp, Yp - Y)
    np.testing.assert_array_equal(dY, Y - Yp)


def test_the_factor_one_is_not_written():
    def net(Yp, Y):
        L = F.euclidean_loss(Yp, Y)
        return L

    _, back = rules_used(net, np.ones(2), np.zeros(2), wrt=["Yp"])
    (dYp,) = [delta.node for primal, delta in back.deltas.items() if primal.name == "Yp"]
    assert dYp.op.name == "sub"
    assert [x.name for x in dYp.inputs] == ["Yp", "Y"]


# -- cross-entropy ---------------------------------------------------------------------------------
def test_delta_of_the_logits_is_softmax_minus_one_hot():
    logits = np.log(np.array([1.0, 2.0, 5.0]))
    right = np.array([1 / 8, 2 / 8 - 1, 5 / 8])
    np.testing.assert_allclose(bp.grad(F.cross_entropy)(logits, 1), right, rtol=1e-14)
    one_hot = np.array([0.0, 1.0, 0.0])
    np.testing.assert_allclose(bp.grad(F.cross_entropy)(logits, one_hot), right, rtol=1e-14)
    in_two_pieces = bp.grad(lambda z, y: -np.sum(y * np.log(F.softmax(z))))(logits, one_hot)
    np.testing.assert_allclose(in_two_pieces, right, rtol=1e-14)


def test_an_explained_one_hot_target_gives_the_slides_formula():
    def net(logits, y):
        loss = F.cross_entropy(logits, y)
        return loss

    _, back = rules_used(net, np.zeros(3), np.array([0.0, 1.0, 0.0]), wrt=["logits"])
    (d,) = [delta.node for primal, delta in back.deltas.items() if primal.name == "logits"]
    assert d.op.name == "sub"
    assert [x.op.name for x in d.inputs] == ["softmax", "input"]


def test_targets_that_do_not_add_up_to_one_are_taken_as_they_are():
    logits, weights = np.log(np.array([1.0, 2.0, 5.0])), np.array([2.0, 0.5, 1.0])
    got = bp.grad(F.cross_entropy)(logits, weights)
    np.testing.assert_allclose(got, np.array([1, 2, 5]) / 8 * 3.5 - weights, rtol=1e-14)


def test_a_one_hot_target_that_is_differentiated_keeps_the_general_rule(same_as_torch):
    """∂²L/∂logits∂y has the term Σ y, which is 1 but whose derivative is not 0."""
    torch = pytest.importorskip("torch")
    same_as_torch(
        F.cross_entropy,
        torch.nn.functional.cross_entropy,
        np.array([[0.5, -1.0, 2.0]]),
        np.array([[0.0, 1.0, 0.0]]),
    )


def test_a_settled_target_leaves_the_sum_out():
    logits, y = np.array([[0.3, -1.0]]), np.array([[0.25, 0.75]])
    short = bp.grad(lambda z: np.sum(soft_cross_entropy_op(z, y, normalised=True)))(logits)
    full = bp.grad(lambda z: np.sum(soft_cross_entropy_op(z, y, normalised=False)))(logits)
    np.testing.assert_allclose(short, full, rtol=1e-14)


def test_cross_entropy_neither_overflows_nor_underflows():
    logits = np.array([[1e4, 0.0, -1e4], [-1e4, -1e4, -1e4]])
    loss, d = bp.value_and_grad(lambda z: F.cross_entropy(z, np.array([2, 0]), reduction="sum"))(
        logits
    )
    assert loss == 2e4 + np.log(3)
    np.testing.assert_allclose(d, [[1, 0, -1], [1 / 3 - 1, 1 / 3, 1 / 3]], rtol=1e-14)


def test_binary_cross_entropy_from_logits_neither_overflows_nor_underflows():
    logits, target = np.array([800.0, -800.0, 800.0]), np.array([1.0, 0.0, 0.0])
    loss = F.binary_cross_entropy_with_logits(logits, target, reduction="none")
    np.testing.assert_array_equal(loss, [0, 0, 800])
    d = bp.grad(lambda z: F.binary_cross_entropy_with_logits(z, target, reduction="sum"))(logits)
    np.testing.assert_array_equal(d, [0, 0, 1])


def test_binary_cross_entropy_of_certainty_is_bounded_as_in_pytorch():
    torch = pytest.importorskip("torch")
    p, target = np.array([0.0, 1.0, 0.0, 1.0]), np.array([0.0, 1.0, 1.0, 0.0])
    value, d = bp.value_and_grad(lambda p: F.binary_cross_entropy(p, target, reduction="sum"))(p)
    tensor = torch.tensor(p, requires_grad=True)
    want = torch.nn.functional.binary_cross_entropy(tensor, torch.tensor(target), reduction="sum")
    want.backward()
    assert value == want.item() == 200
    # PyTorch's bound is 1e-12 rounded to float32
    np.testing.assert_allclose(d, tensor.grad.numpy(), rtol=1e-8)
