"""grad, value_and_grad, vjp, jvp, jacobian, hessian: functions in, functions of numbers out.

They nest to any order: inside another trace an argument gets a fresh name in the same graph, and
the δ nodes built for it are ordinary nodes that the outer transform differentiates again.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from functools import wraps
from typing import Any

import numpy as np

import allbps.numpy_api  # noqa: F401  (fills the table that NumPy calls are looked up in)
from allbps.backprop import backprop, fit
from allbps.errors import ArgumentError, DtypeError, NotScalarError, ShapeError
from allbps.ir import (
    Node,
    TracedArray,
    array_of,
    call_user,
    constant,
    followed_elsewhere,
    handed,
    is_array_of_nodes,
    lift,
    named_arguments,
    new_input,
    refuse_complex,
    refuse_foreign,
    user_site,
    within,
)
from allbps.ir.traces import depth_here, observed_here
from allbps.ir.twin import or_its_twin
from allbps.ops.shape import detach, identity
from allbps.ops.sides import sides_here, twice_deep, watching
from allbps.settling import settled
from allbps.tree import flatten, leaves, rebuild, same_structure, tree_map

Argnums = int | Sequence[int]


def stop_gradient(x: Any) -> Any:
    """``x`` as a constant: nothing flows back through it.

    >>> import allbps as bp
    >>> float(bp.grad(lambda x: x * bp.stop_gradient(x))(3.0))
    3.0
    """

    def cut(leaf: Any) -> Any:
        leaf = _whole(leaf)
        return handed(detach(leaf)) if isinstance(leaf, Node) else leaf

    return tree_map(cut, x)


def _whole(leaf: Any) -> Any:
    """The node that a traced array, or ``np.array([a, b])`` of traced numbers, stands for."""
    return lift(leaf) if isinstance(leaf, TracedArray) or is_array_of_nodes(leaf) else leaf


# -- opening and closing a trace -------------------------------------------------------------------
def _open(tree: Any, bit: int, f: Callable[..., Any], k: int) -> Any:
    """Fresh inputs for the leaves of the k-th argument.

    Raises:
        DtypeError: a leaf is not made of floating-point numbers.

    """
    fresh = []
    for path, leaf in flatten(tree):
        refuse_foreign(leaf, _argument(f, k) + path)
        node = _fresh(leaf, bit)
        if node is None or not node.is_inexact:
            raise _not_float(leaf, _argument(f, k) + path)
        fresh.append(node)
    return rebuild(tree, iter(fresh))


def _fresh(leaf: Any, bit: int) -> Node | None:
    """A new input for a leaf; None where it is not made of numbers."""
    leaf = _whole(leaf)
    if isinstance(leaf, Node):
        alias = identity(leaf)
        return Node(
            alias.op, alias.inputs, alias.shape, alias.dtype,
            value=alias.value, site=alias.site, traces=alias.traces | bit,
        )  # fmt: skip
    try:
        return new_input(np.asanyarray(leaf)[()], bit)
    except DtypeError:
        return None


def _not_float(leaf: Any, name: str) -> DtypeError:
    array = lift(array_of(leaf, name))
    return DtypeError(
        f"{name} holds {array.dtype} numbers, and derivatives need floating-point ones",
        where=str(user_site() or ""),
        expected="float64 or float32",
        got=f"{array.dtype}, shape {array.shape}",
        todo="pass 3.0 instead of 3, or x.astype(float)",
    )


def _name(f: Callable[..., Any]) -> str:
    return getattr(f, "__name__", "the function")


def _argument(f: Callable[..., Any], k: int) -> str:
    """What to call the k-th argument: ``argument 0 (X)``."""
    try:
        kinds = list(inspect.signature(f).parameters.values())
    except (TypeError, ValueError):  # not every built-in has a signature
        return f"argument {k}"
    named = k < len(kinds) and kinds[k].kind is not inspect.Parameter.VAR_POSITIONAL
    return f"argument {k} ({kinds[k].name})" if named else f"argument {k}"


def close(tree: Any, bit: int) -> Any:
    """Results as plain numbers, except what an outer trace still follows."""
    whole = tree_map(_whole, tree)
    elsewhere = followed_elsewhere([leaf for leaf in leaves(whole) if isinstance(leaf, Node)])

    def one(leaf: Any) -> Any:
        kept = not isinstance(leaf, Node) or leaf.traces & (bit - 1) or leaf in elsewhere
        if not isinstance(leaf, Node):
            return leaf
        # the user's own, whatever shares the memory; a number, not an array without axes
        return handed(leaf) if kept else np.array(leaf.value)[()]

    return tree_map(one, whole)


def _float_output(y: Any, name: str) -> Node:
    y = _whole(y)
    node = y if isinstance(y, Node) else lift(array_of(y, f"what {name} returns"))
    if not node.is_inexact:
        raise DtypeError(
            f"{name} returns {node.dtype} numbers, which have no derivative",
            where=str(user_site() or ""),
            expected="floating-point numbers",
        )
    return node


def _shown(value: Any) -> str:
    """What was returned, for a message."""
    if value is None:
        return "None"
    if isinstance(value, (tuple, list, dict, str)):
        return f"a {type(value).__name__}"
    return f"an array of shape {np.shape(value)}"


def _scalar(y: Any, f: Callable[..., Any]) -> Node:
    """The one number a loss function returned.

    Raises:
        NotScalarError: it returned anything else.

    """
    plain = None if y is None or isinstance(y, (tuple, list, dict, str)) else y
    node = _float_output(plain, _name(f)) if plain is not None else None
    if node is not None and node.is_complex:
        raise DtypeError(
            f"{_name(f)} returns a complex number, and a loss is real",
            where=str(user_site() or ""),
            expected="a real number",
            todo="np.abs(z) ** 2 or np.real(z); bp.vjp takes complex results",
        )
    if node is None or node.size != 1:
        todo = "is a return missing?"
        if y is not None:
            todo = "sum or average it, or use bp.vjp or bp.jacobian"
        if isinstance(y, (tuple, list, dict)):
            todo = "has_aux=True for (loss, extra); bp.vjp or bp.jacobian for several outputs"
        raise NotScalarError(
            f"{_name(f)} must return one number to be differentiated",
            where=str(user_site() or ""),
            expected="a scalar, the loss",
            got=_shown(y),
            todo=todo,
        )
    return node


def pull(outputs: list[Node], cotangents: list[Node], inputs: list[Node]) -> list[Node]:
    """δ of each input, zeros where no output depends on it."""
    seeds: dict[Node, Node] = {}
    for y, g in zip(outputs, cotangents, strict=True):
        seeds[y] = seeds[y] + g if y in seeds else g
    sides = sides_here()
    if sides is not None:
        sides.begin()
    deltas = backprop(seeds, inputs)
    _watched([*outputs, *(delta.node for delta in deltas.values())])
    return [deltas[x].node if x in deltas else constant(np.zeros(x.shape, x.dtype)) for x in inputs]


def _watched(nodes: Sequence[Node]) -> None:
    """Have nodes, and what was looked at in this trace, searched for steps that decide a tie."""
    sides = sides_here()
    if sides is not None:
        sides.look([*nodes, *(seen.node for seen in observed_here())])


# -- reverse mode ----------------------------------------------------------------------------------
def value_and_grad(
    f: Callable[..., Any], argnums: Argnums = 0, has_aux: bool = False
) -> Callable[..., Any]:
    """A function that returns ``(f(*xs), δ of the chosen arguments)``.

    Args:
        f: returns one number; with ``has_aux`` the pair (number, anything).
        argnums: which positional arguments; an int gives one δ, a sequence a tuple of them.
            An argument may be a container of arrays; its δ is a container like it.
        has_aux: also pass through what ``f`` returns beside the number.

    Raises:
        NotScalarError: ``f`` returns more or less than one number.
        DtypeError: a chosen argument is not floating-point.
        ArgumentError: there is no such argument.

    >>> import allbps as bp
    >>> value, gradient = bp.value_and_grad(lambda x: x ** 2)(3.0)
    >>> float(value), float(gradient)
    (9.0, 6.0)

    """
    chosen = _numbers(argnums)

    def run(called: Callable[..., Any], args: Sequence[Any], kwargs: dict[str, Any]) -> Any:
        places = [_place(k, args, f) for k in chosen]
        with within() as bit:
            opened = {k: _open(args[k], bit, f, k) for k in places}
            named = named_arguments([opened.get(k, x) for k, x in enumerate(args)], list(args))
            returned = call_user(called, *named, **kwargs)
            y, aux = _split(returned, f) if has_aux else (returned, None)
            loss = _scalar(y, f)
            inputs = leaves([opened[k] for k in places])
            one = constant(np.ones(loss.shape, loss.dtype)[()])
            pulled = iter(pull([loss], [one], inputs))
            grads = tuple(close(rebuild(args[k], pulled), bit) for k in places)
            value = close((loss, aux) if has_aux else loss, bit)
        return value, _as_asked(grads, argnums)

    @wraps(f)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        values: list[Any] = []

        def grads(args: Sequence[Any]) -> Any:
            value, found = or_its_twin(f, lambda called: run(called, args, kwargs))
            values.append(value)
            return found

        found = settled(f, args, [_place(k, args, f) for k in chosen], grads)
        return values[0], found

    return wrapped


def grad(f: Callable[..., Any], argnums: Argnums = 0, has_aux: bool = False) -> Callable[..., Any]:
    """A function that returns the gradient of ``f``; see ``value_and_grad``.

    >>> import numpy as np, allbps as bp
    >>> bp.grad(lambda x: np.sum(np.sin(x)))(np.zeros(2))
    array([1., 1.])
    >>> float(bp.grad(bp.grad(lambda x: x ** 3))(2.0))
    12.0
    """
    both = value_and_grad(f, argnums, has_aux)

    @wraps(f)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        value, grads = both(*args, **kwargs)
        return (grads, value[1]) if has_aux else grads

    return wrapped


def _numbers(argnums: Argnums) -> tuple[Any, ...]:
    """Which arguments; what is no list of numbers is one, and refused by its place."""
    return tuple(argnums) if isinstance(argnums, (tuple, list, range)) else (argnums,)


def _as_asked(found: Sequence[Any], argnums: Argnums) -> Any:
    """One for each number of ``argnums``; of a number by itself that one alone."""
    return found[0] if isinstance(argnums, (int, np.integer)) else found


def _place(k: int, args: Sequence[Any], f: Callable[..., Any]) -> int:
    if not isinstance(k, (int, np.integer)) or not -len(args) <= k < len(args):
        raise ArgumentError(
            f"argnums={k!r}, but {_name(f)} was called with {len(args)} positional arguments",
            where=str(user_site() or ""),
            expected=f"an index below {len(args)}",
            todo="pass what you differentiate by position, not by keyword",
        )
    return int(k) % len(args)


def _split(returned: Any, f: Callable[..., Any]) -> tuple[Any, Any]:
    if not isinstance(returned, tuple) or len(returned) != 2:
        raise ArgumentError(
            f"has_aux=True, but {_name(f)} returned no pair",
            where=str(user_site() or ""),
            expected="(loss, anything)",
            got=_shown(returned),
        )
    return returned


def vjp(f: Callable[..., Any], *xs: Any) -> tuple[Any, Callable[[Any], tuple[Any, ...]]]:
    """``(y, pullback)``: the value, and the function from δy to the tuple of δx.

    Args:
        f: any function of arrays or containers to arrays or containers.
        xs: its arguments; each must hold floating-point numbers.

    Returns:
        ``y``; and ``pullback(δy)``, which takes a δ shaped like ``y`` and returns one δ per
        argument. It can be called many times.

    Raises:
        DtypeError: an argument or a result is not floating-point.
        ArgumentError: ``f`` returned nothing.

    >>> import numpy as np, allbps as bp
    >>> y, pullback = bp.vjp(np.multiply, np.array([3.0]), np.array([4.0]))
    >>> y, pullback(np.array([1.0]))
    (array([12.]), (array([4.]), array([3.])))

    """

    def start(xs: Sequence[Any]) -> tuple[Any, Callable[[Any], tuple[Any, ...]]]:
        return or_its_twin(f, lambda called: _vjp(f, called, xs))

    if depth_here() or sides_here() is not None:
        return start(xs)
    with watching() as sides:
        y, pullback = start(xs)
    if not sides.is_nested:
        return y, pullback
    given = tree_map(lambda leaf: np.array(lift(leaf).value)[()], xs)  # what it was, whoever writes

    def settled_pullback(cotangent: Any) -> tuple[Any, ...]:
        return settled(  # type: ignore[no-any-return]
            f, given, range(len(xs)), lambda xs: start(xs)[1](cotangent)
        )

    return y, settled_pullback


def _vjp(
    f: Callable[..., Any], called: Callable[..., Any], xs: Sequence[Any]
) -> tuple[Any, Callable[[Any], tuple[Any, ...]]]:
    with within() as bit:
        opened = [_open(x, bit, f, k) for k, x in enumerate(xs)]
        returned = call_user(called, *named_arguments(opened, list(xs)))
        outputs = [_float_output(leaf, _name(f)) for leaf in leaves(returned)]
        if not outputs:
            raise ArgumentError(
                f"{_name(f)} returned nothing to differentiate",
                where=str(user_site() or ""),
                expected="an array, or a container of arrays",
                got=_shown(returned),
                todo="is a return missing?",
            )
        value = close(rebuild(returned, iter(outputs)), bit)
        _watched(outputs)

    def pullback(cotangent: Any) -> tuple[Any, ...]:
        with within() as bit:
            given = _fitted(cotangent, returned, outputs, "the cotangent", "the output")
            pulled = iter(pull(outputs, given, leaves(opened)))
            return tuple(close(rebuild(x, pulled), bit) for x in xs)

    return value, pullback


def _fitted(given: Any, like: Any, nodes: list[Node], what: str, whose: str) -> list[Node]:
    """A cotangent or a direction as nodes, each of the shape and dtype it belongs to.

    Raises:
        ShapeError: it is not shaped like what it belongs to.

    """
    if not same_structure(given, like):
        raise ShapeError(
            f"{what} is not a container like {whose}",
            where=str(user_site() or ""),
            expected=str(tree_map(lambda leaf: lift(leaf).shape, like)),
            got=str(tree_map(np.shape, given)),
        )
    for leaf in leaves(given):
        refuse_foreign(leaf, what)
    found = [
        leaf if isinstance(leaf, Node) else lift(np.asarray(leaf)[()])
        for leaf in map(_whole, leaves(given))
    ]
    for g, node in zip(found, nodes, strict=True):
        if g.shape != node.shape:
            raise ShapeError(
                f"{what} is not shaped like {whose}",
                where=str(user_site() or ""),
                expected=str(node.shape),
                got=str(g.shape),
            )
    return [fit(g, node) for g, node in zip(found, nodes, strict=True)]


# -- forward mode ----------------------------------------------------------------------------------
def jvp(f: Callable[..., Any], xs: Sequence[Any], vs: Sequence[Any]) -> tuple[Any, Any]:
    """``(y, directional derivative of f at xs along vs)``.

    The pullback is linear in δy, so its own pullback is the pushforward: no second set of rules
    (the "double backward trick").

    Args:
        f: any function of arrays or containers.
        xs: its arguments.
        vs: directions, shaped like the arguments.

    >>> import allbps as bp
    >>> y, tangent = bp.jvp(lambda x, y: x * y, (3.0, 4.0), (1.0, 0.0))
    >>> float(y), float(tangent)
    (12.0, 4.0)

    """
    for kind, given in (("arguments", xs), ("directions", vs)):
        if not isinstance(given, (tuple, list)):
            raise ArgumentError(
                f"jvp takes its {kind} together",
                where=str(user_site() or ""),
                expected="a tuple: bp.jvp(f, (x,), (v,))",
                got=type(given).__name__,
            )
    if len(xs) != len(vs):
        raise ArgumentError(
            "jvp needs one direction for each argument",
            where=str(user_site() or ""),
            expected=str(len(xs)),
            got=str(len(vs)),
        )
    for k, (x, v) in enumerate(zip(xs, vs, strict=True)):
        _fitted(v, x, list(map(lift, leaves(x))), f"the direction of argument {k}", "the argument")
    values: list[Any] = []

    def pushed(xs: Sequence[Any]) -> Any:
        y, pullback = vjp(f, *xs)
        values.append(y)

        def pulled(u: Any) -> Any:
            return pullback(u)

        with twice_deep():
            _, pushforward = vjp(pulled, tree_map(_zeros_like, y))
        return pushforward(tuple(vs))[0]

    tangent = settled(f, xs, range(len(xs)), pushed)
    return values[0], tangent


def _zeros_like(x: Any) -> Any:
    node = lift(x)
    return np.zeros(node.shape, node.dtype)


# -- whole matrices of derivatives -----------------------------------------------------------------
def jacobian(f: Callable[..., Any], argnums: Argnums = 0) -> Callable[..., Any]:
    """A function that returns ∂y/∂x, of shape ``y.shape + x.shape``, one pullback per element of y.

    For containers the result is a container like ``y`` of containers like ``x``; several
    ``argnums`` give a tuple.

    >>> import numpy as np, allbps as bp
    >>> bp.jacobian(lambda x: x ** 2)(np.array([1.0, 2.0]))
    array([[2., 0.],
           [0., 4.]])
    """
    chosen = _numbers(argnums)

    def plainly(args: Sequence[Any], kwargs: dict[str, Any]) -> Any:
        places = [_place(k, args, f) for k in chosen]

        def of_chosen(*part: Any) -> Any:
            filled = list(args)
            for k, x in zip(places, part, strict=True):
                filled[k] = x
            return f(*filled, **kwargs)

        of_chosen.__name__ = _name(f)
        part = [args[k] for k in places]
        y, pullback = vjp(of_chosen, *part)
        if any(lift(leaf).is_complex for leaf in leaves([y, part])):
            refuse_complex("a jacobian")
        blocks = [_rows(y, which, pullback, part) for which in range(len(leaves(y)))]
        return rebuild(y, (_as_asked(block, argnums) for block in blocks))

    @wraps(f)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        places = [_place(k, args, f) for k in chosen]
        return settled(f, args, places, lambda args: plainly(args, kwargs))

    return wrapped


def _rows(y: Any, which: int, pullback: Callable[[Any], tuple[Any, ...]], part: list[Any]) -> Any:
    """∂(leaf ``which`` of y)/∂x for each x in ``part``, as a tuple of containers."""
    zeros = [_zeros_like(leaf) for leaf in leaves(y)]
    shape = zeros[which].shape
    rows = []
    for k in range(zeros[which].size):
        basis = [z.copy() for z in zeros]
        basis[which].flat[k] = 1.0
        rows.append(leaves(pullback(rebuild(y, iter(basis)))))
    stacked = []
    for column, x in enumerate(leaves(part)):
        full = (*shape, *lift(x).shape)
        pieces = [row[column] for row in rows]
        stacked.append(np.reshape(np.stack(pieces), full) if pieces else np.zeros(full))
    return rebuild(tuple(part), iter(stacked))


def hessian(f: Callable[..., Any], argnums: Argnums = 0) -> Callable[..., Any]:
    """A function that returns ∂²f/∂x∂x, of shape ``x.shape + x.shape``, for a scalar ``f``.

    NaN, with a :class:`KinkWarning` that names the line, where it depends on which slope or branch
    is taken at a kink: ``np.maximum(x, 0) ** 2`` has none at 0. So are derivatives of a gradient
    in any of these functions.

    >>> import numpy as np, allbps as bp
    >>> bp.hessian(lambda x: np.sum(x ** 3))(np.array([1.0, 2.0]))
    array([[ 6.,  0.],
           [ 0., 12.]])
    """
    return jacobian(grad(f, argnums), argnums)
