"""Arguments, parameters and variables may be called like anything in the compiled text."""

from __future__ import annotations

import ast
import builtins
import importlib
import inspect
import keyword
import pkgutil

import numpy as np
import pytest

import allbps.machine.kernels
from allbps import optim
from allbps.machine.compile import compile  # noqa: A004
from allbps.machine.language import words
from allbps.machine.planning.scalar import VOCABULARY
from allbps.machine.works.tasks import Names
from allbps.train.options import OPTIMISERS


def identifiers(text):
    """Every name in a generated text."""
    names = {node.id for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Name)}
    functions = [f for f in ast.walk(ast.parse(text)) if isinstance(f, ast.FunctionDef)]
    return names | {f.name for f in functions} | {a.arg for f in functions for a in f.args.args}


def a_training_step(max_norm=None, rule=None):
    """One that uses whatever a step can: an epoch, scratch memory, rates, a clipped norm."""
    w, x = np.ones((64, 80)), np.ones((700, 64))
    return compile(
        lambda w, x: np.mean((x @ w) ** 2), w, x, params="w", optimizer=rule or optim.Adam(0.1),
        max_norm=max_norm,
    )  # fmt: skip


def all_names():
    """Names of kernels, words and formulas, of a step's variables, of Python; and unusual ones."""
    found = {name for name, what in vars(words).items() if not name.startswith("__")}
    for module in pkgutil.iter_modules(allbps.machine.kernels.__path__):
        found |= set(vars(importlib.import_module(f"allbps.machine.kernels.{module.name}")))
    for step in (a_training_step(), a_training_step(max_norm=1.0)):
        found |= identifiers(step.source())
    found |= set(VOCABULARY) | set(vars(builtins))
    found |= {name.strip("_") for name in found} | set(keyword.softkwlist) | set(OPTIMISERS)
    found |= {"δ", "größe", "变量", "_", "_x", "x_", "k_x", "exp_avg", "momentum_buffer", "delta"}
    usable = {name for name in found if name.isidentifier() and not keyword.iskeyword(name)}
    return sorted(name for name in usable if not name.startswith("__"))


NAMES = all_names()


def of_arguments(names, body):
    """A function of these arguments."""

    def f(*given):
        return body(given)

    kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
    f.__signature__ = inspect.Signature([inspect.Parameter(name, kind) for name in names])
    return f


def values(names, *shape):
    rng = np.random.default_rng(5)
    return [rng.standard_normal(shape) for _ in names]


def test_there_are_many_names():
    assert {"embedding", "barrier", "p", "lo", "scratch", "rates", "exp", "range"} <= {*NAMES}
    assert len(NAMES) > 300


def test_every_name_is_good_for_an_argument():
    xs = values(NAMES, 3)
    f = of_arguments(NAMES, lambda given: [np.tanh(x) for x in given])
    for got, x in zip(compile(f, *xs)(*xs), xs, strict=True):
        np.testing.assert_allclose(got, np.tanh(x), rtol=1e-12)


def test_every_name_is_good_for_a_variable():
    lines = [
        "def f(the_argument):",
        *(f"    {name} = the_argument * {k + 1}.0" for k, name in enumerate(NAMES)),
    ]
    scope = {}
    exec("\n".join([*lines, f"    return [{', '.join(NAMES)}]"]), scope)
    x = np.arange(3.0)
    for k, got in enumerate(compile(scope["f"], x)(x)):
        np.testing.assert_array_equal(got, x * (k + 1))


def test_every_name_is_good_for_a_parameter():
    check_parameters(NAMES, optim.SGD(0.1))


@pytest.mark.parametrize("kind", OPTIMISERS)
def test_names_in_the_text_of_an_optimiser_are_good_for_its_parameters(kind):
    rule = OPTIMISERS[kind](0.1)
    found = identifiers(a_training_step(rule=rule).source()) | {kind, *rule.slots}
    check_parameters(sorted({name.strip("_") for name in found} & {*NAMES, *rule.slots}), rule)


def check_parameters(names, rule):
    xs = values(names, 3)
    f = of_arguments(names, lambda given: sum(np.sum(x * x) for x in given))
    step = compile(f, *xs, params=names, optimizer=rule)
    step()
    wanted, _ = rule.update(xs, [2 * x for x in xs], rule.init(xs))
    for name, want in zip(names, wanted, strict=True):
        np.testing.assert_allclose(step.params[name], want, rtol=1e-12, err_msg=name)


def test_in_a_step_the_machines_own_names_begin_with_an_underscore():
    step = a_training_step()
    text = ast.parse(step.source())
    blocks = {block.name for block in step._path.build.program.memories}
    own = {f.name for f in text.body if isinstance(f, ast.FunctionDef)}
    for f in text.body:
        if isinstance(f, ast.FunctionDef) and "_tid" in [a.arg for a in f.args.args]:
            found = {n.id for n in ast.walk(f) if isinstance(n, ast.Name)} - {
                "kernel",
                "Int",
                "Ints",
            }
            assert {name for name in found if not name.startswith("_")} <= blocks | own
    assert not any(name.startswith("_") for name in blocks)


def test_imported_names_are_not_variables_of_a_step():
    text = ast.parse(a_training_step().source())
    imported = {a.asname or a.name for n in text.body if isinstance(n, ast.ImportFrom)
                for a in n.names}  # fmt: skip
    assigned = {n.id for n in ast.walk(text) if isinstance(n, ast.Name)
                and isinstance(n.ctx, ast.Store)}  # fmt: skip
    assert not imported & assigned


@pytest.mark.parametrize("wish", ["_", "__", "1", "lambda", "δ", "x y", "", "_hidden_", "变量"])
def test_handed_out_names_are_identifiers_that_begin_with_a_letter(wish):
    names = Names()
    first, second = names.fresh(wish), names.fresh(wish)
    assert first != second
    for name in (first, second):
        assert name.isidentifier()
        assert name.isascii()
        assert name[0].isalpha()
        assert not keyword.iskeyword(name)
