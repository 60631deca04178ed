"""The first step beside PyTorch's own: loss, parameters, what is remembered, buffers."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any
from unittest import mock

import numpy as np
import torch
from torch import nn
from torch.nn.utils.rnn import PackedSequence
from torch.utils import _pytree as pytree
from torch.utils._python_dispatch import TorchDispatchMode

from allbps.errors import AllBPsError, ArgumentError
from allbps.random import Generator
from allbps.torch.arguments import array
from allbps.torch.attributes import Writes
from allbps.torch.compiled import CompiledStep
from allbps.torch.lost import without_checkpoints
from allbps.torch.memory import Memories
from allbps.torch.packed import packed_like, packed_noticed, packed_shape
from allbps.torch.refusals import name_of
from allbps.torch.replaced import called_with, held
from allbps.torch.where import raised_at

SHARE = 1e-3
"""How far a gradient may be off, as a share of the largest number in it, in single precision."""
DOUBLE = 1e-6
"""The same in double precision: PyTorch's own hardsigmoid is 1e-7 off."""
NOISE = 30.0
"""How much larger than PyTorch's own error in single precision ours may be."""
SHAKEN = 16
"""How often the example is shaken to see what rounding may do to it."""
UNITS = 8
"""By how many units in the last place."""
FEW = 1e-4
"""The share of numbers that may still differ then: shaking does not turn every ReLU."""
AGAIN = 1e-4
"""How far apart two losses of the same numbers may be, as a share: threads add in any order."""
REST = 1e-6
"""How far off a gradient may be that is 0 but for rounding, as a share of the largest of all."""


class DifferenceError(AllBPsError, ArithmeticError):
    """A step does not do what PyTorch does."""


class Drawing(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Inside, PyTorch draws from one of our generators: the numbers that a step draws.

    Args:
        seed: of the generator.
        packed: the packed sequences that are being worked on, for which a step draws padded ones.

    """

    def __init__(self, seed: int, packed: Sequence[PackedSequence] = ()) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.rng, self.packed = Generator(seed), packed

    def _kept(self, p: float, shape: torch.Size) -> torch.Tensor:
        """True with probability p."""
        if not self.packed:
            return torch.from_numpy(np.asarray(self.rng.bernoulli(p, size=tuple(shape))))
        packed = self.packed[-1]
        padded = self.rng.bernoulli(p, size=packed_shape(packed, shape[1:]))
        return packed_like(packed, torch.from_numpy(np.asarray(padded)))

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        name = str(func)
        if name == "aten.bernoulli_.float":
            p = args[1] if len(args) > 1 else kwargs.get("p", 0.5)
            return args[0].copy_(self._kept(float(p), args[0].shape))
        if name == "aten.native_dropout.default" and args[2] is not False:
            mask = self._kept(1 - args[1], args[0].shape)
            return args[0] * mask / (1 - args[1]), mask
        if name == "aten.exponential_.default":  # of uniform numbers, as in the graph
            with self:
                return args[0].copy_(torch._refs.exponential(*args, **kwargs))
        method = DRAWN.get(name)
        if method is None:
            return func(*args, **kwargs)
        made = func(*args, **kwargs)
        dtype = np.float64 if made.dtype == torch.float64 else np.float32
        single = kwargs.get("dtype") or made.dtype
        drawn = getattr(self.rng, method)(size=tuple(made.shape), dtype=dtype)
        return torch.from_numpy(np.asarray(drawn)).to(single)


DRAWN = {
    "aten.rand.default": "random", "aten.rand_like.default": "random",
    "aten.randn.default": "standard_normal", "aten.randn_like.default": "standard_normal",
}  # fmt: skip
"""What PyTorch draws with -> the method of our generator."""


@dataclass(frozen=True)
class Eager:
    """What PyTorch makes of a batch.

    Attributes:
        loss: its loss.
        gradients: of the parameters that move, in the order of their names.
        buffers: name -> what it becomes.

    """

    loss: float
    gradients: list[torch.Tensor]
    buffers: Mapping[str, torch.Tensor]


def eager(
    whole: nn.Module, step: CompiledStep, args: Any, kwargs: Any, dtype: torch.dtype,
    shaken: torch.Generator | None = None,
) -> Eager:  # fmt: skip
    """Loss, gradients and new buffers by PyTorch, in another precision; nothing is changed.

    With ``shaken``, of numbers that are off by a few units in their last place.
    """

    def cast(x: Any) -> Any:
        if not isinstance(x, torch.Tensor):
            return x
        copied = x.detach().clone()
        if not copied.is_floating_point():
            return copied
        copied = copied.to(dtype)
        if shaken is not None:
            unit = UNITS * torch.finfo(dtype).eps
            copied *= 1 + unit * torch.randn(copied.shape, generator=shaken, dtype=dtype)
        return copied

    wanted = {id(t): name for name, t in zip(step.params.names, step.params.tensors, strict=True)}
    made: dict[int, torch.Tensor] = {}
    for t in held(whole).values():
        if id(t) not in made:
            made[id(t)] = cast(t)
            made[id(t)].requires_grad_(id(t) in wanted)
    chosen = {name: made[number] for number, name in wanted.items()}
    args, kwargs = pytree.tree_map(cast, (args, kwargs))
    loss = _loss(whole, made, args, kwargs, step.found.rng.seed)
    params = [chosen[name] for name in step.params.names]
    gradients = torch.autograd.grad(loss, params, allow_unused=True)
    filled = [
        torch.zeros_like(p) if g is None else g for p, g in zip(params, gradients, strict=True)
    ]
    pairs = zip(step.buffers.names, step.buffers.tensors, strict=True)
    new = {name: made[id(b)] for name, b in pairs}
    return Eager(float(loss.detach()), filled, new)


def _loss(
    whole: nn.Module, tensors: Mapping[int, torch.Tensor], args: Any, kwargs: Any, seed: int
) -> torch.Tensor:
    """The loss by PyTorch with other parameters and buffers, and draws of this seed."""
    with (
        Writes(whole).put_back(), torch.random.fork_rng(devices=[]), torch.enable_grad(),
        packed_noticed() as packed, Drawing(seed, packed), without_checkpoints(),
    ):  # fmt: skip
        try:
            found = called_with(whole, tensors, args, dict(kwargs))
        except (RuntimeError, TypeError, ValueError, IndexError) as error:
            if isinstance(error, AllBPsError):
                raise
            first = str(error).strip().splitlines()[0] if str(error).strip() else ""
            raise ArgumentError(
                f"PyTorch itself cannot run {name_of(whole)} on this batch",
                where=raised_at(error), expected="a batch that the module takes",
                got=f"{type(error).__name__}: {first[:300]}",
            ) from error  # fmt: skip
    loss: torch.Tensor = found[0] if isinstance(found, (tuple, list)) else found
    return loss


def _refuse_memory(whole: nn.Module, args: Any, kwargs: Any, seed: int, first: float) -> None:
    """Refuse a forward pass that is another one when it is called again.

    Raises:
        DifferenceError: a call on the same numbers gives another loss than the first.

    """
    second = _loss_again(whole, args, kwargs, seed)
    if abs(first - second) > AGAIN * max(abs(first), abs(second)):
        raise DifferenceError(
            f"{name_of(whole)} gives another loss when it is called again on the same numbers",
            expected=f"{first:.9g}, as in the first call", got=f"{second:.9g}",
            todo="state belongs into buffers: not into globals, closures or objects of Python",
        )  # fmt: skip


def _loss_again(whole: nn.Module, args: Any, kwargs: Any, seed: int) -> float:
    """The loss by PyTorch on copies of everything."""
    copies = {
        id(t): t.detach().clone().requires_grad_(t.requires_grad) for t in held(whole).values()
    }
    args, kwargs = pytree.tree_map(_copied, (args, kwargs))
    return float(_loss(whole, copies, args, kwargs, seed).detach())


def _copied(x: Any) -> Any:
    return x.detach().clone() if isinstance(x, torch.Tensor) else x


def compare_with_eager(
    step: CompiledStep, whole: nn.Module, args: Any, kwargs: Any, memory: Memories
) -> None:
    """Take a step on the example, compare it with PyTorch's, and take it back.

    Gradients are compared through what the optimizer makes of them: its own state and the
    parameters may be where they could be if each gradient were a little off, and nowhere else.

    Raises:
        DifferenceError: loss, parameters, the optimizer's state or buffers differ, or PyTorch's own
            two losses of the example.

    """
    single, seed = _has_singles(step), step.found.rng.seed
    own = (
        eager(whole, step, args, kwargs, torch.float32)
        if _is_single(whole, (args, kwargs))
        else None
    )
    first = _loss_again(whole, args, kwargs, seed) if own is None else own.loss
    _refuse_memory(whole, args, kwargs, seed, first)
    taken = _take(step, memory, args, kwargs)
    if own is not None and _at_once(taken, own):
        return
    try:
        reference = eager(whole, step, args, kwargs, torch.float64)
    except ArgumentError:  # it insists on single precision somewhere
        reference = eager(whole, step, args, kwargs, torch.float32)
    if own is None:
        own = eager(whole, step, args, kwargs, torch.float32) if single else reference
    _compare_loss(taken.loss, reference.loss, own.loss, single)
    bounds = _bounds(reference.gradients, own.gradients, single)
    try:
        _compare_state(taken, reference.gradients, bounds, single)
    except DifferenceError:
        if not single:
            raise
        wider = _wider(bounds, reference, whole, step, args, kwargs)
        _compare_state(taken, reference.gradients, wider, single, FEW)
    _compare_buffers(taken, reference, own, single, partial(_shaken, whole, step, args, kwargs))


@dataclass(frozen=True)
class Taken:
    """What a step that was taken back had made of the example.

    Attributes:
        loss: the loss.
        params: name, parameter, and what is remembered of it by name, after the step.
        buffers: name -> what it became.
        optimized: gradients, bounds and a sign -> what PyTorch's optimizer makes of them.
        scalars: does the optimizer remember numbers that PyTorch keeps in single precision?

    """

    loss: float
    params: Sequence[tuple[str, torch.Tensor, Mapping[str, torch.Tensor]]]
    buffers: Mapping[str, torch.Tensor]
    optimized: Callable[..., Any]
    scalars: bool


def _take(step: CompiledStep, memory: Memories, args: Any, kwargs: Any) -> Taken:
    """Take a step on the example, and take it back."""
    inputs = [array(x) for x in pytree.tree_leaves((args, dict(kwargs)))]
    with _taken_back(step, memory), _long_steps(step, memory):
        optimized = _optimizer_on_copies(step, memory)
        result = step([x for x in inputs if isinstance(x, np.ndarray)], 0)
        params = [
            (name, p.detach().clone(), {k: t.clone() for k, t in memory.slots[id(p)].items()})
            for name, p in zip(step.params.names, step.params.tensors, strict=True)
        ]
        pairs = zip(step.buffers.names, step.buffers.tensors, strict=True)
        buffers = {name: b.detach().clone() for name, b in pairs}
    loss = float(result[0] if isinstance(result, (tuple, list)) else result)
    return Taken(loss, params, buffers, optimized, any(m.kind.scalars for m in memory.each))


def _is_single(whole: nn.Module, args: Any) -> bool:
    """Is every real number in single precision?"""
    tensors = [*held(whole).values(), *pytree.tree_leaves(args)]
    real = [x.dtype for x in tensors if isinstance(x, torch.Tensor) and x.is_floating_point()]
    return all(dtype == torch.float32 for dtype in real)


def _at_once(taken: Taken, own: Eager) -> bool:
    """Is a step so near to PyTorch's in single precision that double precision need not decide?

    What is within half of the bounds here is within the bounds around the exact numbers, which
    are wider by many times PyTorch's own error.
    """
    try:
        _compare_loss(taken.loss, own.loss, own.loss, True, 0.5)
        bounds = _bounds(own.gradients, own.gradients, True)
        _compare_state(taken, own.gradients, bounds, True, room_share=0.5)
    except DifferenceError:
        return False
    return _off(taken, own, own, True, 0.5) is None


def _has_singles(step: CompiledStep) -> bool:
    """Is something worked out in single precision, as models do in double precision too?"""
    values = [node.meta.get("val") for node in step.found.program.graph.nodes]
    return any(isinstance(x, torch.Tensor) and x.dtype == torch.float32 for x in values)


def _compare_loss(
    found: float, reference: float, own: float, single: bool, room_share: float = 1.0
) -> None:
    size = max(abs(reference), 1e-3)
    bound = (1e-4 if single else 1e-7) * size + NOISE * abs(own - reference)
    if not abs(found - reference) <= room_share * bound:
        raise _different("the loss", found, reference, "")


def _bounds(
    reference: Sequence[torch.Tensor], own: Sequence[torch.Tensor], single: bool
) -> list[torch.Tensor]:
    """How far each gradient may be off."""
    largest = max((float(g.abs().max()) for g in reference if g.numel()), default=0.0)
    share = SHARE if single else DOUBLE
    found = []
    for g, mine in zip(reference, own, strict=True):
        noise = float((mine.double() - g.double()).abs().max()) if g.numel() else 0.0
        top = float(g.abs().max()) if g.numel() else 0.0
        bound = share * top + NOISE * noise + (REST if single else REST * 1e-6) * largest
        found.append(torch.full_like(g, bound))
    return found


def _wider(
    bounds: Sequence[torch.Tensor], reference: Eager, whole: nn.Module, step: CompiledStep,
    args: Any, kwargs: Any,
) -> list[torch.Tensor]:  # fmt: skip
    """The same, wider where a ReLU or a maximum turns over when numbers are shaken a little.

    There a whole channel has one of two gradients, and rounding decides which.
    """
    found = [bound.double() for bound in bounds]
    for other in _shaken(whole, step, args, kwargs, torch.float32):
        pairs = zip(found, reference.gradients, other.gradients, strict=True)
        found = [b + (o.double() - g.double()).abs() for b, g, o in pairs]  # several may turn
    return found


def _shaken(
    whole: nn.Module, step: CompiledStep, args: Any, kwargs: Any, dtype: torch.dtype
) -> Iterator[Eager]:
    """What PyTorch makes of numbers that are off in their last places."""
    rng = torch.Generator().manual_seed(0)
    for _ in range(SHAKEN):
        yield eager(whole, step, args, kwargs, dtype, rng)


def _optimizer_on_copies(step: CompiledStep, memory: Memories) -> Any:
    """What PyTorch's optimizer makes of gradients: a function to (parameter, state) for each."""
    owners = [memory.owner[id(p)].optimizer for p in step.params.tensors]
    where = {
        id(p): group
        for m in memory.each for group in m.optimizer.param_groups for p in group["params"]
    }  # fmt: skip
    params = [p.detach().clone().double() for p in step.params.tensors]
    options = [
        {k: v for k, v in where[id(p)].items() if k != "params"} for p in step.params.tensors
    ]
    states = [
        copy.deepcopy(dict(owner.state.get(p, {})))
        for owner, p in zip(owners, step.params.tensors, strict=True)
    ]
    max_norm = step.max_norm

    def run(gradients: Sequence[torch.Tensor], bounds: Sequence[torch.Tensor], sign: int) -> Any:
        copies = [nn.Parameter(p.clone()) for p in params]
        for p, g, bound in zip(copies, gradients, bounds, strict=True):
            p.grad = g.double() + sign * bound.double()
        if max_norm is not None:
            nn.utils.clip_grad_norm_(copies, max_norm)
        groups = [{**o, "params": [p]} for o, p in zip(options, copies, strict=True)]
        others = {
            owner: type(owner)(
                [g for g, own in zip(groups, owners, strict=True) if own is owner], **_plain(owner)
            )
            for owner in dict.fromkeys(owners)
        }
        for p, state, owner in zip(copies, states, owners, strict=True):
            if state:
                others[owner].state[p] = {
                    k: v.double().clone()
                    if isinstance(v, torch.Tensor) and v.is_floating_point() and k != "step"
                    else copy.deepcopy(v)
                    for k, v in state.items()
                }
        with _unrounded():
            for other in others.values():
                other.step()
        return [
            (p.detach(), others[owner].state[p]) for p, owner in zip(copies, owners, strict=True)
        ]

    return run


def _unrounded() -> AbstractContextManager[Any]:
    """Inside, PyTorch's Muon rounds nothing to bfloat16, as a step in native code does not."""
    return mock.patch.object(torch.Tensor, "bfloat16", torch.Tensor.clone)


def _plain(optimizer: Any) -> dict[str, Any]:
    return {"lr": 0.1} if isinstance(optimizer, torch.optim.SGD) else {}


def _compare_state(
    taken: Taken, gradients: Sequence[torch.Tensor], bounds: Sequence[torch.Tensor], single: bool,
    few: float = 0.0, room_share: float = 1.0,
) -> None:  # fmt: skip
    moved = [taken.optimized(gradients, bounds, sign) for sign in (0, 1, -1)]
    rest = 1e-5 if single else 1e-6 if taken.scalars else 1e-9  # PyTorch rounds those
    for k, (name, p, slots) in enumerate(taken.params):
        pairs = [("", p, [one[k][0] for one in moved])]
        for slot, tensor in slots.items():
            expected = [one[k][1].get(slot) for one in moved]
            if all(isinstance(e, torch.Tensor) for e in expected):
                pairs.append((slot, tensor, expected))
        for what, found, three in pairs:
            exact, above, below = (e.double() for e in three)
            room = 2 * torch.maximum((above - exact).abs(), (below - exact).abs())
            room = room + rest * exact.abs() + rest * 1e-3
            off = (found.double() - exact).abs()
            wrong = ~(off <= room_share * room)
            if int(wrong.sum()) > few * wrong.numel():
                place = int(torch.where(wrong, off, torch.zeros_like(off)).argmax())
                title = f"{what} of {name} in the optimizer" if what else f"{name} after a step"
                expanded = exact.expand_as(found).reshape(-1)
                raise _different(
                    title, float(found.reshape(-1)[place]), float(expanded[place]),
                    f"{int(wrong.sum())} of {wrong.numel()} numbers differ",
                )  # fmt: skip


def _compare_buffers(
    taken: Taken, reference: Eager, own: Eager, single: bool,
    shaken: Callable[[torch.dtype], Iterator[Eager]],
) -> None:  # fmt: skip
    off = _off(taken, reference, own, single)
    if off is None:
        return
    for other in shaken(torch.float32 if single else torch.float64):  # a mean that is all rounding
        if _off(taken, reference, other, single) is None:
            return
    raise off


def _off(
    taken: Taken, reference: Eager, own: Eager, single: bool, room_share: float = 1.0
) -> DifferenceError | None:
    """The first buffer that is further off than PyTorch's own numbers, as an error."""
    for name, found in taken.buffers.items():
        exact = reference.buffers[name].double()
        mine = own.buffers[name].double()
        top = float(exact.abs().max()) if exact.numel() else 0.0
        noise = float((mine - exact).abs().max()) if exact.numel() else 0.0
        bound = room_share * ((1e-4 if single else 1e-7) * top + NOISE * noise)
        off = (found.double() - exact).abs()
        if bool((~(off <= bound)).any()):
            place = int(off.argmax())
            return _different(
                f"the buffer {name}", float(found.reshape(-1)[place]),
                float(exact.reshape(-1)[place]), "",
            )  # fmt: skip
    return None


def _different(what: str, found: float, expected: float, more: str) -> DifferenceError:
    return DifferenceError(
        f"{what} is not what PyTorch makes of the example" + (f": {more}" if more else ""),
        expected=f"{expected:.9g}, by PyTorch's eager mode", got=f"{found:.9g}",
        todo="is a gradient stopped, or a value changed, in a way that torch.export does not see?"
        " If not, please report it; check=False skips this comparison",
    )  # fmt: skip


@contextmanager
def _taken_back(step: CompiledStep, memory: Memories) -> Iterator[None]:
    """Inside, a step may be taken; afterwards everything is as before."""
    tensors = [*step.params.tensors, *step.buffers.tensors, *step.counted]
    tensors += [t for p in step.params.tensors for t in memory.slots[id(p)].values()]
    memory.refresh()
    before = [t.detach().clone() for t in tensors]
    try:
        yield
    finally:
        with torch.no_grad():
            for tensor, old in zip(tensors, before, strict=True):
                tensor.copy_(old)
        assert step.step is not None
        step.step.taken = 0


@contextmanager
def _long_steps(step: CompiledStep, memory: Memories) -> Iterator[None]:
    """Inside, plain gradient descent takes steps as long as the gradient, which is then seen."""
    groups = [
        group
        for m in memory.each if type(m.optimizer) is torch.optim.SGD
        for group in m.optimizer.param_groups
    ]  # fmt: skip
    before = [group["lr"] for group in groups]
    for group in groups:
        group["lr"] = 1.0
    try:
        yield
    finally:
        for group, lr in zip(groups, before, strict=True):
            group["lr"] = lr
