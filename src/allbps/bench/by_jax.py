"""JAX: a jitted step, and a jitted scan over many steps."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from numpy.typing import NDArray

from allbps.bench.jax_nets import LOSSES, images, kernel
from allbps.bench.peer import as_losses
from allbps.bench.work import Work


class Steps:
    """``jax.jit`` of forward, backward and update, the old parameters given away."""

    def __init__(self, work: Work) -> None:
        self.x, self.y = images(work.x), images(work.y)
        learnt = {name: kernel(p) for name, p in work.learnt.items()}
        running = {name: kernel(p) for name, p in work.running.items()}
        self.state = (learnt, {name: jnp.zeros_like(p) for name, p in learnt.items()}, running)
        self.taken = 0
        self.step = _step(work)
        self.jitted = jax.jit(self.step, donate_argnums=0)
        self.batches = [(self.x[k], self.y[k]) for k in range(min(len(self.x), 100))]

    def run(self, steps: int) -> NDArray[Any]:
        """Step by step; the losses are fetched at the end."""
        losses = []
        for _ in range(steps):
            x, y = self.batches[self.taken % len(self.batches)]
            self.state, loss = self.jitted(self.state, x, y)
            self.taken += 1
            losses.append(loss)
        jax.tree.leaves(self.state)[0].block_until_ready()
        return as_losses(losses)


class Scan(Steps):
    """``lax.scan`` over the steps of a run."""

    def __init__(self, work: Work) -> None:
        super().__init__(work)

        def many(state: Any, x: Any, y: Any, order: Any) -> Any:
            return lax.scan(lambda s, k: self.step(s, x[k], y[k]), state, order)

        self.scan = jax.jit(many, donate_argnums=0)

    def run(self, steps: int) -> NDArray[Any]:
        """One call."""
        order = (self.taken + np.arange(steps)) % len(self.x)
        self.state, losses = self.scan(self.state, self.x, self.y, order)
        self.taken += steps
        return np.asarray(losses)


def _step(work: Work) -> Any:
    loss_of = LOSSES[work.model.name]

    def step(state: Any, x: Any, y: Any) -> Any:
        params, memory, running = state

        def objective(p: Any) -> Any:
            return loss_of({**p, **running}, x, y)

        (loss, new), grads = jax.value_and_grad(objective, has_aux=True)(params)
        memory = jax.tree.map(lambda v, g: work.momentum * v + g, memory, grads)
        params = jax.tree.map(lambda p, v: p - work.lr * v, params, memory)
        return (params, memory, new), loss

    return step
