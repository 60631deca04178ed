"""The optimisers: each a formula for one parameter, in PyTorch's names and order of operations."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from typing import ClassVar

import numpy as np

from allbps.errors import ArgumentError
from allbps.optim.optimizer import Array, Optimizer, Slots, require
from allbps.optim.schedules import Schedule


@dataclass(frozen=True)
class _Decoupled:
    """The decay pulls on the parameter itself (Loshchilov & Hutter, arXiv:1711.05101)."""

    decoupled: ClassVar[bool] = True

    _: KW_ONLY
    weight_decay: float = 1e-2


@dataclass(frozen=True)
class SGD(Optimizer):
    """Stochastic gradient descent, K ← K − lr δK, with momentum as ``torch.optim.SGD``.

    Nesterov's momentum as in Sutskever et al., "On the importance of initialization and momentum
    in deep learning", 2013.

    >>> sgd, K = SGD(lr=0.5, momentum=0.9), np.array(1.0)
    >>> K, state = sgd.update(K, K, sgd.init(K))
    >>> float(sgd.update(K, K, state)[0])  # 0.5 - 0.5·(0.9·1 + 0.5)
    -0.19999999999999996
    """

    slots: ClassVar[tuple[str, ...]] = ("momentum_buffer",)
    decoupled: ClassVar[bool] = False

    _: KW_ONLY
    momentum: float = 0.0
    dampening: float = 0.0
    nesterov: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        require("momentum", self.momentum, at_least=0.0)
        if self.nesterov and (self.momentum <= 0 or self.dampening != 0):
            raise ArgumentError(
                "Nesterov's method needs momentum and no dampening",
                expected="momentum > 0 and dampening = 0",
                got=f"momentum = {self.momentum:g} and dampening = {self.dampening:g}",
            )

    def move(self, p: Array, g: Array, slots: Slots, lr: float, t: int) -> tuple[Array, Slots]:
        p, g = _decay(self, p, g, lr)
        v = slots["momentum_buffer"]
        if self.momentum:
            v = np.where(t == 1, g, self.momentum * v + (1 - self.dampening) * g)
            g = g + self.momentum * v if self.nesterov else v
        return p - lr * g, {"momentum_buffer": v}


@dataclass(frozen=True)
class SGDW(_Decoupled, SGD):
    """SGD with decoupled decay (Loshchilov & Hutter, arXiv:1711.05101).

    >>> sgdw, K = SGDW(lr=0.1, weight_decay=0.5), np.array(1.0)
    >>> float(sgdw.update(K, 0 * K, sgdw.init(K))[0])  # 1·(1 - 0.1·0.5)
    0.95
    """


@dataclass(frozen=True)
class Adam(Optimizer):
    """Adam (Kingma & Ba, arXiv:1412.6980), as ``torch.optim.Adam``.

    >>> adam, K = Adam(lr=0.1), np.array(1.0)
    >>> round(float(adam.update(K, 7 * K, adam.init(K))[0]), 6)  # the first step is lr long
    0.9
    """

    slots: ClassVar[tuple[str, ...]] = ("exp_avg", "exp_avg_sq")
    usual_lr: ClassVar[float | None] = 1e-3
    decoupled: ClassVar[bool] = False

    lr: float | Schedule = 1e-3
    _: KW_ONLY
    betas: tuple[float, float] = (0.9, 0.999)
    eps: float = 1e-8

    def __post_init__(self) -> None:
        super().__post_init__()
        for name, beta in zip(("betas[0]", "betas[1]"), self.betas, strict=True):
            require(name, beta, at_least=0.0, below=1.0)
        require("eps", self.eps, at_least=0.0)

    def averages(self, g: Array, slots: Slots) -> tuple[Array, Array]:
        """The running means of the gradient and of its square."""
        beta1, beta2 = self.betas
        m = slots["exp_avg"] + (1 - beta1) * (g - slots["exp_avg"])
        return m, beta2 * slots["exp_avg_sq"] + (1 - beta2) * g * g

    def move(self, p: Array, g: Array, slots: Slots, lr: float, t: int) -> tuple[Array, Slots]:
        p, g = _decay(self, p, g, lr)
        m, v = self.averages(g, slots)
        beta1, beta2 = self.betas
        spread = np.sqrt(v) / np.sqrt(1 - beta2**t) + self.eps
        return p - lr / (1 - beta1**t) * (m / spread), {"exp_avg": m, "exp_avg_sq": v}


@dataclass(frozen=True)
class AdamW(_Decoupled, Adam):
    """Adam with decoupled decay (Loshchilov & Hutter, arXiv:1711.05101), as in PyTorch.

    >>> adamw, K = AdamW(lr=0.1, weight_decay=0.5), np.array(1.0)
    >>> float(adamw.update(K, 0 * K, adamw.init(K))[0])
    0.95
    """


@dataclass(frozen=True)
class AMSGrad(Adam):
    """Adam whose mean square never falls (Reddi et al., arXiv:1904.09237).

    As ``torch.optim.Adam`` with ``amsgrad=True``.

    >>> amsgrad, K = AMSGrad(lr=0.1), np.array(1.0)
    >>> round(float(amsgrad.update(K, 7 * K, amsgrad.init(K))[0]), 6)
    0.9
    """

    slots: ClassVar[tuple[str, ...]] = ("exp_avg", "exp_avg_sq", "max_exp_avg_sq")

    def move(self, p: Array, g: Array, slots: Slots, lr: float, t: int) -> tuple[Array, Slots]:
        p, g = _decay(self, p, g, lr)
        m, v = self.averages(g, slots)
        beta1, beta2 = self.betas
        largest = np.maximum(slots["max_exp_avg_sq"], v)
        spread = np.sqrt(largest) / np.sqrt(1 - beta2**t) + self.eps
        p = p - lr / (1 - beta1**t) * (m / spread)
        return p, {"exp_avg": m, "exp_avg_sq": v, "max_exp_avg_sq": largest}


@dataclass(frozen=True)
class AMSGradW(_Decoupled, AMSGrad):
    """AMSGrad with decoupled decay: ``torch.optim.AdamW`` with ``amsgrad=True``.

    >>> amsgrad, K = AMSGradW(lr=0.1, weight_decay=0.5), np.array(1.0)
    >>> float(amsgrad.update(K, 0 * K, amsgrad.init(K))[0])
    0.95
    """


@dataclass(frozen=True)
class NAdam(Adam):
    """Adam with Nesterov's momentum (Dozat, "Incorporating Nesterov momentum into Adam", 2016).

    As ``torch.optim.NAdam``: the momentum rises with the steps, and μ₁·μ₂·… corrects its bias.

    >>> nadam, K = NAdam(lr=0.1), np.array(1.0)
    >>> float(nadam.update(K, 7 * K, nadam.init(K))[0]) < 0.9
    True
    """

    slots: ClassVar[tuple[str, ...]] = ("exp_avg", "exp_avg_sq", "mu_product")
    usual_lr: ClassVar[float | None] = 2e-3

    lr: float | Schedule = 2e-3
    _: KW_ONLY
    momentum_decay: float = 4e-3

    def move(self, p: Array, g: Array, slots: Slots, lr: float, t: int) -> tuple[Array, Slots]:
        p, g = _decay(self, p, g, lr)
        m, v = self.averages(g, slots)
        beta1, beta2 = self.betas
        mu = beta1 * (1 - 0.5 * 0.96 ** (t * self.momentum_decay))
        next_mu = beta1 * (1 - 0.5 * 0.96 ** ((t + 1) * self.momentum_decay))
        product = np.where(t == 1, mu, slots["mu_product"] * mu)
        spread = np.sqrt(v / (1 - beta2**t)) + self.eps
        p = p - lr * (1 - mu) / (1 - product) * (g / spread)
        p = p - lr * next_mu / (1 - product * next_mu) * (m / spread)
        return p, {"exp_avg": m, "exp_avg_sq": v, "mu_product": product}


@dataclass(frozen=True)
class NAdamW(_Decoupled, NAdam):
    """NAdam with decoupled decay: ``torch.optim.NAdam`` with ``decoupled_weight_decay=True``.

    >>> nadam, K = NAdamW(lr=0.1, weight_decay=0.5), np.array(1.0)
    >>> float(nadam.update(K, 0 * K, nadam.init(K))[0])
    0.95
    """


@dataclass(frozen=True)
class RAdam(Adam):
    """Adam with a rectified variance (Liu et al., arXiv:1908.03265), as ``torch.optim.RAdam``.

    >>> radam, K = RAdam(lr=0.1), np.array(1.0)
    >>> round(float(radam.update(K, 7 * K, radam.init(K))[0]), 6)  # the first steps follow the mean
    0.3
    """

    def move(self, p: Array, g: Array, slots: Slots, lr: float, t: int) -> tuple[Array, Slots]:
        p, g = _decay(self, p, g, lr)
        m, v = self.averages(g, slots)
        beta1, beta2 = self.betas
        unbiased = 1 - beta2**t
        longest = 2 / (1 - beta2) - 1
        length = longest - 2 * t * beta2**t / unbiased
        known = length > 5.0
        own = np.where(known, length, 5.0)
        share = (own - 4) * (own - 2) * longest / ((longest - 4) * (longest - 2) * own)
        rectified = np.sqrt(share * unbiased) / (np.sqrt(v) + self.eps)
        step = np.where(known, rectified, 1.0)
        return p - lr / (1 - beta1**t) * m * step, {"exp_avg": m, "exp_avg_sq": v}


@dataclass(frozen=True)
class RAdamW(_Decoupled, RAdam):
    """RAdam with decoupled decay: ``torch.optim.RAdam`` with ``decoupled_weight_decay=True``.

    >>> radam, K = RAdamW(lr=0.1, weight_decay=0.5), np.array(1.0)
    >>> float(radam.update(K, 0 * K, radam.init(K))[0])
    0.95
    """


@dataclass(frozen=True)
class Adamax(Adam):
    """Adam with the largest gradient instead of the mean square (arXiv:1412.6980, section 7.1).

    As ``torch.optim.Adamax``.

    >>> adamax, K = Adamax(lr=0.1), np.array(1.0)
    >>> round(float(adamax.update(K, 7 * K, adamax.init(K))[0]), 6)
    0.9
    """

    slots: ClassVar[tuple[str, ...]] = ("exp_avg", "exp_inf")
    usual_lr: ClassVar[float | None] = 2e-3

    lr: float | Schedule = 2e-3

    def move(self, p: Array, g: Array, slots: Slots, lr: float, t: int) -> tuple[Array, Slots]:
        p, g = _decay(self, p, g, lr)
        beta1, beta2 = self.betas
        m = slots["exp_avg"] + (1 - beta1) * (g - slots["exp_avg"])
        largest = np.maximum(beta2 * slots["exp_inf"], np.abs(g) + self.eps)
        return p - lr / (1 - beta1**t) * (m / largest), {"exp_avg": m, "exp_inf": largest}


@dataclass(frozen=True)
class LAMB(Adam):
    """Adam whose step is as long as the parameter, times ``lr`` (You et al., arXiv:1904.00962).

    >>> lamb, K = LAMB(lr=0.1), np.array([3.0, 4.0])
    >>> K - lamb.update(K, np.array([7.0, 7.0]), lamb.init(K))[0]  # 0.1·5 long
    array([0.35355339, 0.35355339])
    """

    lr: float | Schedule = 1e-3
    _: KW_ONLY
    eps: float = 1e-6

    def move(self, p: Array, g: Array, slots: Slots, lr: float, t: int) -> tuple[Array, Slots]:
        m, v = self.averages(g, slots)
        beta1, beta2 = self.betas
        step = m / (1 - beta1**t) / (np.sqrt(v / (1 - beta2**t)) + self.eps)
        step = step + self.weight_decay * p
        long, far = np.sqrt(np.sum(p * p)), np.sqrt(np.sum(step * step))
        trust = np.where(long * far > 0, long / np.where(far > 0, far, 1.0), 1.0)
        return p - lr * trust * step, {"exp_avg": m, "exp_avg_sq": v}


@dataclass(frozen=True)
class Lion(Optimizer):
    """The sign of a momentum (Chen et al., arXiv:2302.06675), with decoupled decay.

    >>> lion, K = Lion(lr=0.1), np.array([1.0, -2.0])
    >>> lion.update(K, np.array([7.0, -0.3]), lion.init(K))[0]
    array([ 0.9, -1.9])
    """

    slots: ClassVar[tuple[str, ...]] = ("exp_avg",)
    usual_lr: ClassVar[float | None] = 1e-4

    lr: float | Schedule = 1e-4
    _: KW_ONLY
    betas: tuple[float, float] = (0.9, 0.99)

    def move(self, p: Array, g: Array, slots: Slots, lr: float, t: int) -> tuple[Array, Slots]:
        (beta1, beta2), m = self.betas, slots["exp_avg"]
        p = p * (1 - lr * self.weight_decay) - lr * np.sign(beta1 * m + (1 - beta1) * g)
        return p, {"exp_avg": beta2 * m + (1 - beta2) * g}


@dataclass(frozen=True)
class Adagrad(Optimizer):
    """Steps divided by the root of all squared gradients (Duchi et al., JMLR 12, 2011).

    As ``torch.optim.Adagrad``.

    >>> adagrad, K = Adagrad(lr=0.1), np.array(1.0)
    >>> round(float(adagrad.update(K, 7 * K, adagrad.init(K))[0]), 6)
    0.9
    """

    slots: ClassVar[tuple[str, ...]] = ("sum",)
    usual_lr: ClassVar[float | None] = 1e-2

    lr: float | Schedule = 1e-2
    _: KW_ONLY
    lr_decay: float = 0.0
    eps: float = 1e-10

    def move(self, p: Array, g: Array, slots: Slots, lr: float, t: int) -> tuple[Array, Slots]:
        g = _with_decay(self, p, g)
        total = slots["sum"] + g * g
        lr = lr / (1 + (t - 1) * self.lr_decay)
        return p - lr * (g / (np.sqrt(total) + self.eps)), {"sum": total}


@dataclass(frozen=True)
class Adadelta(Optimizer):
    """Steps in the unit of earlier steps (Zeiler, arXiv:1212.5701), as ``torch.optim.Adadelta``.

    >>> adadelta, K = Adadelta(), np.array(1.0)
    >>> float(adadelta.update(K, 7 * K, adadelta.init(K))[0]) < 1
    True
    """

    slots: ClassVar[tuple[str, ...]] = ("square_avg", "acc_delta")
    usual_lr: ClassVar[float | None] = 1.0

    lr: float | Schedule = 1.0
    _: KW_ONLY
    rho: float = 0.9
    eps: float = 1e-6

    def __post_init__(self) -> None:
        super().__post_init__()
        require("rho", self.rho, at_least=0.0, below=1.0)
        require("eps", self.eps, at_least=0.0)

    def move(self, p: Array, g: Array, slots: Slots, lr: float, t: int) -> tuple[Array, Slots]:
        g = _with_decay(self, p, g)
        square = self.rho * slots["square_avg"] + (1 - self.rho) * g * g
        step = np.sqrt(slots["acc_delta"] + self.eps) / np.sqrt(square + self.eps) * g
        moved = self.rho * slots["acc_delta"] + (1 - self.rho) * step * step
        return p - lr * step, {"square_avg": square, "acc_delta": moved}


@dataclass(frozen=True)
class RMSprop(Optimizer):
    """RMSprop (Hinton's lecture 6e), as ``torch.optim.RMSprop``.

    >>> rmsprop, K = RMSprop(lr=0.1), np.array(1.0)
    >>> round(float(rmsprop.update(K, 7 * K, rmsprop.init(K))[0]), 6)  # 1 - 0.1/√(1 - alpha)
    0.0
    """

    slots: ClassVar[tuple[str, ...]] = ("square_avg", "grad_avg", "momentum_buffer")
    usual_lr: ClassVar[float | None] = 1e-2

    lr: float | Schedule = 1e-2
    _: KW_ONLY
    alpha: float = 0.99
    eps: float = 1e-8
    momentum: float = 0.0
    centered: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        require("alpha", self.alpha, at_least=0.0)
        require("eps", self.eps, at_least=0.0)
        require("momentum", self.momentum, at_least=0.0)

    def move(self, p: Array, g: Array, slots: Slots, lr: float, t: int) -> tuple[Array, Slots]:
        g = _with_decay(self, p, g)
        mean, buffer = slots["grad_avg"], slots["momentum_buffer"]
        square = self.alpha * slots["square_avg"] + (1 - self.alpha) * g * g
        spread = square
        if self.centered:
            mean = mean + (1 - self.alpha) * (g - mean)
            spread = square - mean**2
        step = g / (np.sqrt(spread) + self.eps)
        if self.momentum:
            step = buffer = self.momentum * buffer + step
        new = {"square_avg": square, "grad_avg": mean, "momentum_buffer": buffer}
        return p - lr * step, new


@dataclass(frozen=True)
class Rprop(Optimizer):
    """Steps that grow while the gradient keeps its sign (Riedmiller & Braun, 1993).

    As ``torch.optim.Rprop``: of a gradient its sign alone counts, and where that has changed the
    parameter waits. ``lr`` is the size of the first step.

    >>> rprop, K = Rprop(lr=0.1), np.array([1.0, -2.0])
    >>> rprop.update(K, np.array([7.0, -0.3]), rprop.init(K))[0]
    array([ 0.9, -1.9])
    """

    slots: ClassVar[tuple[str, ...]] = ("prev", "step_size")
    usual_lr: ClassVar[float | None] = 1e-2

    lr: float | Schedule = 1e-2
    _: KW_ONLY
    etas: tuple[float, float] = (0.5, 1.2)
    step_sizes: tuple[float, float] = (1e-6, 50.0)

    def __post_init__(self) -> None:
        super().__post_init__()
        require("etas[0]", self.etas[0], at_least=0.0, below=1.0)
        require("etas[1]", self.etas[1], at_least=1.0)

    def move(self, p: Array, g: Array, slots: Slots, lr: float, t: int) -> tuple[Array, Slots]:
        g = _with_decay(self, p, g)
        (shorter, longer), (least, most) = self.etas, self.step_sizes
        turned = g * slots["prev"]
        factor = np.where(turned > 0, longer, np.where(turned < 0, shorter, 1.0))
        size = np.clip(np.where(t == 1, lr, slots["step_size"]) * factor, least, most)
        g = np.where(turned < 0, 0.0, g)
        return p - np.sign(g) * size, {"prev": g, "step_size": size}


@dataclass(frozen=True)
class ASGD(Optimizer):
    """Gradient descent that also averages its way (Polyak & Juditsky, 1992).

    As ``torch.optim.ASGD``: the rate falls, and from step ``t0`` on ``ax`` is the mean of the
    parameters, for whoever wants it.

    >>> asgd, K = ASGD(lr=0.5, lambd=0.0), np.array(1.0)
    >>> float(asgd.update(K, K, asgd.init(K))[0])
    0.5
    """

    slots: ClassVar[tuple[str, ...]] = ("ax", "eta", "mu")
    usual_lr: ClassVar[float | None] = 1e-2

    lr: float | Schedule = 1e-2
    _: KW_ONLY
    lambd: float = 1e-4
    alpha: float = 0.75
    t0: float = 1e6

    def move(self, p: Array, g: Array, slots: Slots, lr: float, t: int) -> tuple[Array, Slots]:
        g = _with_decay(self, p, g)
        eta, mu = np.where(t == 1, lr, slots["eta"]), np.where(t == 1, 1.0, slots["mu"])
        p = p * (1 - self.lambd * eta) - eta * g
        mean = np.where(mu == 1, p, slots["ax"] + (p - slots["ax"]) * mu)
        falling = lr / (1 + self.lambd * lr * t) ** self.alpha
        share = 1 / np.maximum(1.0, t - self.t0)
        one = np.ones_like(p)
        return p, {"ax": mean, "eta": falling * one, "mu": share * one}


def _decay(rule: SGD | Adam, p: Array, g: Array, lr: float) -> tuple[Array, Array]:
    """The pull to 0: on the parameter itself if decoupled, else part of the gradient."""
    if not rule.weight_decay:
        return p, g
    if rule.decoupled:
        return p * (1 - lr * rule.weight_decay), g
    return p, _with_decay(rule, p, g)


def _with_decay(rule: Optimizer, p: Array, g: Array) -> Array:
    """The gradient, the pull to 0 being part of it."""
    return g + rule.weight_decay * p if rule.weight_decay else g
