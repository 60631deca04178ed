"""Models in onnxruntime, and our own numbers beside theirs."""

import numpy as np
import pytest

import allbps as bp


def _run(model, given):
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4  # it warns of outputs that are constants
    options.intra_op_num_threads = 1
    loaded = onnxruntime.InferenceSession(model.SerializeToString(), options)
    names = [y.name for y in loaded.get_outputs()]
    taken = (*loaded.get_inputs(), *loaded.get_overridable_initializers())
    wanted = {x.name for x in taken}
    found = loaded.run(None, {k: np.asarray(v) for k, v in given.items() if k in wanted})
    return dict(zip(names, found, strict=True))


def _ours(f, *args, cotangents=None, **given):
    worked = bp.explain(f, *args, cotangents=cotangents, **given)
    graph = worked.backward.traced.graph
    results = {y.name: worked[y.name].value for y in graph.outputs}
    deltas = {f"d{x.name}": (x, worked[x.name].delta) for x in graph.inputs if x.is_float}
    return results | {
        name: np.zeros(x.shape, x.dtype) if delta is None else delta
        for name, (x, delta) in deltas.items()
    }


@pytest.fixture
def run():
    """``run(model, {name: array})`` in onnxruntime: output name -> array."""
    pytest.importorskip("onnxruntime")
    return _run


@pytest.fixture
def ours():
    """``ours(f, *args)`` by explain: the same names -> arrays, ONNX having no part in it."""
    return _ours
