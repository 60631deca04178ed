"""allbps functions as ``jax.custom_vjp``, against JAX's own derivatives."""

import numpy as np
import pytest

import allbps as bp
import allbps.functional as F
from allbps.errors import ArgumentError, NoRuleError, ValuesNeededError

jax = pytest.importorskip("jax")
jax.config.update("jax_enable_x64", True)
jnp = jax.numpy


def swish(x, w):
    return np.sum(x / (1 + np.exp(-x)) * w)


def theirs(x, w):
    return jnp.sum(x / (1 + jnp.exp(-x)) * w)


RNG = np.random.default_rng(5)
X, W, MANY = (jnp.asarray(RNG.normal(size=s)) for s in ((3, 2), (2,), (4, 3, 2)))


@pytest.mark.parametrize(
    "transform",
    [
        lambda f: f(X, W),
        lambda f: jax.jit(f)(X, W),
        lambda f: jax.grad(f, argnums=(0, 1))(X, W),
        lambda f: jax.jit(jax.grad(f))(X, W),
        lambda f: jax.vmap(jax.grad(f), in_axes=(0, None))(MANY, W),
        lambda f: jax.jacrev(jax.grad(f))(X, W),
        lambda f: jax.grad(lambda x: jnp.sum(jax.grad(f)(x, W) ** 2))(X),
        lambda f: jax.vmap(jax.jit(jax.grad(f, argnums=1)), in_axes=(0, None))(MANY, W),
    ],
)
def test_jit_vmap_and_grad_of_grad(transform):
    ours, right = transform(bp.jax.function(swish)), transform(theirs)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-13), ours, right)


def test_containers_and_several_results():
    def net(x, p):
        h = np.tanh(x @ p["W"] + p["b"])
        return {"loss": np.sum(h**2), "hidden": h, "best": np.argmax(h)}

    p = {"W": jnp.asarray(RNG.normal(size=(2, 2))), "b": jnp.ones(2)}
    made = bp.jax.function(net)
    found = jax.grad(lambda p: made(X, p)["loss"] + jnp.sum(jnp.sin(made(X, p)["hidden"])))(p)

    def right(p):
        h = jnp.tanh(X @ p["W"] + p["b"])
        return jnp.sum(h**2) + jnp.sum(jnp.sin(h))

    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-10), found, jax.grad(right)(p)
    )


def test_labels_decide_the_path():
    made = bp.jax.function(lambda x, y: F.cross_entropy(x, y))
    logits = jnp.asarray(RNG.normal(size=(3, 4)))
    usual, ignored = jnp.array([0, 3, 1]), jnp.array([0, -100, 1])

    def right(x, rows, labels):
        return -jnp.mean(jax.nn.log_softmax(x)[jnp.array(rows), jnp.array(labels)])

    np.testing.assert_allclose(made(logits, usual), right(logits, [0, 1, 2], [0, 3, 1]))
    np.testing.assert_allclose(made(logits, ignored), right(logits, [0, 2], [0, 1]))
    np.testing.assert_allclose(
        jax.jit(jax.grad(made))(logits, usual),
        jax.grad(right)(logits, [0, 1, 2], [0, 3, 1]),
        rtol=1e-10, atol=1e-14,
    )  # fmt: skip
    assert np.isnan(jax.jit(made)(logits, ignored))
    assert np.isnan(jax.jit(jax.grad(made))(logits, ignored)).all()


def test_what_cannot_be_said_without_numbers_is_refused():
    def bent(x):
        return np.sum(x**2) if np.sum(x) > 0 else np.sum(np.sin(x))

    made = bp.jax.function(bent)
    np.testing.assert_allclose(jax.numpy.asarray(made(jnp.ones(3))), 3.0)
    np.testing.assert_allclose(made(-jnp.ones(3)), -3 * np.sin(1.0))
    with pytest.raises(ValuesNeededError, match="looks at a number"):
        jax.jit(made)(jnp.ones(3))
    rng = np.random.default_rng(0)
    with pytest.raises(ArgumentError, match="same numbers"):
        bp.jax.function(lambda x: x * rng.normal(size=3))(jnp.ones(3))
    with pytest.raises(NoRuleError, match="cannot be NaN"):
        jax.jit(bp.jax.function(lambda x, y: (F.cross_entropy(x, y), np.argmax(x))))(
            jnp.ones((2, 3)), jnp.array([0, 1])
        )


def test_single_precision_stays():
    made = bp.jax.function(swish)
    assert jax.grad(made)(X.astype("float32"), W.astype("float32")).dtype == np.float32


def test_the_text_stands_alone():
    worked = bp.explain(swish, np.asarray(X), np.asarray(W))
    text = worked.to_source("jax", form="custom_vjp")
    assert "allbps" not in text
    scope = {}
    exec(text, scope)
    np.testing.assert_allclose(jax.jit(jax.grad(scope["swish"]))(X, W), jax.grad(theirs)(X, W))
