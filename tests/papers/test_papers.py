"""Nets from papers, written by hand in NumPy: read in every form, verified, compiled."""

import inspect
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest

import allbps as bp
from allbps.machine.building import FallbackWarning
from allbps.tree import leaves
from allbps.verify import Verdict
from allbps.worked import FORMATS

sys.path.insert(0, str(Path(__file__).parent))
from paper_nets import NETS

ALL = pytest.mark.parametrize("name", NETS)


def learnt(f, args):
    """The places of the arguments that hold floating-point arrays alone."""
    kinds = [{np.asarray(x).dtype.kind for x in leaves(tree)} for tree in args]
    chosen = [k for k, found in enumerate(kinds) if found == {"f"} and not np.isscalar(args[k])]
    names = list(inspect.signature(f).parameters)
    return [names[k] for k in chosen], tuple(chosen)


@ALL
def test_a_net_reads_in_every_form_and_every_delta_is_confirmed(name):
    f, args = NETS[name]
    worked = bp.explain(f, *args)
    for form in FORMATS:
        text = worked.render(form)
        assert len(text) > 100
    emitted = {}
    exec(worked.to_source(), emitted)
    value, _ = emitted[f.__name__](*(a for a in args if leaves(a) and not _is_option(a)))
    np.testing.assert_allclose(value, f(*args), rtol=1e-12)
    report = worked.verify()
    assert report, str(report)
    assert report.plain.verdict is Verdict.AGREE


def _is_option(argument):
    return all(isinstance(leaf, (int, str)) for leaf in leaves(argument))


@ALL
def test_a_compiled_net_has_the_value_of_numpy_and_the_gradients_of_the_graph(name):
    f, args = NETS[name]
    names, places = learnt(f, args)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FallbackWarning)
        step = bp.compile(f, *args, params=names)
    value, grads = step(*args)
    np.testing.assert_allclose(value, f(*args), rtol=1e-11)
    grads = grads if len(names) > 1 else {names[0]: grads}
    wanted = bp.grad(f, places)(*args)
    for parameter, tree in zip(names, wanted, strict=True):
        size = max(np.max(np.abs(x)) for x in leaves(tree))
        for ours, theirs in zip(leaves(grads[parameter]), leaves(tree), strict=True):
            np.testing.assert_allclose(ours, theirs, rtol=1e-9, atol=1e-12 * size)
