"""``gradcheck`` with PyTorch's arguments: fast on large inputs, and right at kinks."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch.autograd import gradcheck as pytorchs
from torch.autograd.gradcheck import GradcheckError

from allbps.errors import AllBPsError, ArgumentError
from allbps.torch.examine import examine
from allbps.torch.returned import Call, functions_inside
from allbps.torch.subject import Subject, is_float
from allbps.verify.torchs import function_of


class WrongGradientError(AllBPsError, GradcheckError):
    """A backward pass that is not its forward pass's; PyTorch's ``GradcheckError`` too."""


def gradcheck(
    func: Callable[..., Any],
    inputs: torch.Tensor | Sequence[Any],
    *,
    eps: float = 1e-6,
    atol: float = 1e-5,
    rtol: float = 1e-3,
    raise_exception: bool = True,
    nondet_tol: float = 0.0,
    check_undefined_grad: bool = True,
    check_grad_dtypes: bool = False,
    check_batched_grad: bool = False,
    check_batched_forward_grad: bool = False,
    check_forward_ad: bool = False,
    check_backward_ad: bool = True,
    fast_mode: bool = False,
    masked: bool | None = None,
) -> bool:
    """Are the gradients of ``func`` those of its forward pass? With PyTorch's arguments.

    Instead of one column for each element, a few random directions move all elements at once, each
    by a weight of its own, under several random cotangents; where one disagrees, halving finds the
    elements that are wrong. Differences that a kink or rounding spoils are told from wrong
    gradients: at a kink each slope between those on its sides is right. Drawn numbers are the same
    in every run, so that dropout can be checked. Single precision is checked in double, and then
    compared. Beyond PyTorch's, the check sees writes into inputs, gradients that depend on strides
    or on which inputs need one, and results that are wrongly marked as not differentiable. A
    gradient that has the shape its input was broadcast to passes, as PyTorch sums it, and a warning
    says so.

    Args:
        func: of the inputs, to a tensor or a container of tensors.
        inputs: a tensor or a sequence; those that require a gradient are checked.
        eps: the middle one of three steps, in units of each input.
        atol: what an element may be off, at least.
        rtol: what it may be off, as a part of it.
        raise_exception: raise an error, rather than return False.
        nondet_tol: by how much two runs may differ.
        check_undefined_grad: taken as always on.
        check_grad_dtypes: taken as always on.
        check_batched_grad: looked at by PyTorch's own gradcheck, in its fast mode.
        check_batched_forward_grad: looked at by PyTorch's own, too.
        check_forward_ad: looked at by PyTorch's own, too.
        check_backward_ad: look at the backward pass.
        fast_mode: taken as always on.
        masked: for sparse inputs, which with complex ones go to PyTorch's own gradcheck.

    Raises:
        WrongGradientError: something is wrong; the message says which element and how.
        ArgumentError: no input requires a gradient.

    >>> import torch, allbps as bp
    >>> x = torch.tensor([0.0, 1.0, -2.0], dtype=torch.double, requires_grad=True)
    >>> bp.torch.gradcheck(torch.relu, x)                 # at the kink 0, too
    True

    """
    given = (inputs,) if isinstance(inputs, torch.Tensor) else tuple(inputs)
    tensors = [x for x in given if isinstance(x, torch.Tensor)]
    if not any(x.requires_grad for x in tensors):
        raise ArgumentError(
            "no input requires a gradient, so there is nothing to check",
            expected="x.requires_grad_()", got=f"{len(tensors)} tensors without",
        )  # fmt: skip
    further = {
        "check_batched_grad": check_batched_grad,
        "check_batched_forward_grad": check_batched_forward_grad,
        "check_forward_ad": check_forward_ad,
    }
    ours = all(is_float(x) or not x.requires_grad for x in tensors) and all(
        x.layout == torch.strided for x in tensors
    )
    if not ours or any(further.values()):
        options: dict[str, Any] = {
            **further, "eps": eps, "atol": atol, "rtol": rtol, "raise_exception": raise_exception,
            "nondet_tol": nondet_tol, "check_undefined_grad": check_undefined_grad,
            "check_backward_ad": check_backward_ad, "masked": masked,
            "fast_mode": ours or fast_mode,
        }  # fmt: skip
        if not pytorchs(func, given, **options):
            return False
    if not ours or not check_backward_ad:
        return True
    subject = Subject.of(func, given)
    found = examine(subject, eps=eps, atol=atol, rtol=rtol, nondet_tol=nondet_tol)
    if found:
        _warn_of_sums(subject)
    if not found and raise_exception:
        raise WrongGradientError(f"the backward pass is wrong: {found}")
    return bool(found)


def _warn_of_sums(subject: Subject) -> None:
    """Say which gradients are right only because PyTorch sums them."""
    function = function_of(subject.function)
    with functions_inside() as inside:
        subject.run(subject.fresh())
    calls = [Call(function, subject.inputs)] if function is not None else inside
    for said in dict.fromkeys(said for call in calls for said in call.summed()):
        warnings.warn(said, UserWarning, stacklevel=3)
