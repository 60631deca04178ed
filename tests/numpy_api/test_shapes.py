"""Functions that move, join, split, repeat and pick numbers."""

import numpy as np
import pytest

import allbps as bp
from allbps.errors import ArgumentError, ShapeError

MOVES = {
    "reshape": (lambda x: np.reshape(x, (4, 6)), (2, 3, 4)),
    "reshape with one length open": (lambda x: np.reshape(x, (-1, 4)), (2, 3, 4)),
    "reshape by position": (lambda x: x.reshape(6, 4), (2, 3, 4)),
    "reshape by tuple": (lambda x: x.reshape((6, -1)), (2, 3, 4)),
    "reshape empty": (lambda x: x.reshape(3, -1), (0, 3)),
    "ravel": (np.ravel, (2, 3)),
    "ravel method": (lambda x: x.ravel() + x.flatten(), (2, 3)),
    "squeeze": (np.squeeze, (2, 1, 3, 1)),
    "squeeze one axis": (lambda x: np.squeeze(x, axis=1), (2, 1, 3, 1)),
    "squeeze axes": (lambda x: x.squeeze(axis=(1, -1)), (2, 1, 3, 1)),
    "expand_dims": (lambda x: np.expand_dims(x, 1), (2, 3)),
    "expand_dims twice": (lambda x: np.expand_dims(x, (0, -1)), (2, 3)),
    "new axes by index": (lambda x: x[:, None, ..., None], (2, 3)),
    "transpose": (np.transpose, (2, 3, 4)),
    "transpose by axes": (lambda x: np.transpose(x, (2, 0, 1)), (2, 3, 4)),
    "transpose with negative axes": (lambda x: np.transpose(x, [-1, 0, 1]), (2, 3, 4)),
    "transpose method": (lambda x: x.transpose(1, 0, 2) + x.transpose((1, 0, 2)), (2, 3, 4)),
    ".T": (lambda x: x.T, (2, 3, 4)),
    ".mT": (lambda x: x.mT, (2, 3, 4)),
    "transpose of a vector": (np.transpose, (3,)),
    "moveaxis": (lambda x: np.moveaxis(x, 0, -1), (2, 3, 4)),
    "moveaxis several": (lambda x: np.moveaxis(x, (0, 1), (2, 0)), (2, 3, 4)),
    "rollaxis": (lambda x: np.rollaxis(x, 2), (2, 3, 4)),
    "rollaxis to a place": (lambda x: np.rollaxis(x, 0, 2), (2, 3, 4)),
    "swapaxes": (lambda x: np.swapaxes(x, 0, -1), (2, 3, 4)),
    "roll": (lambda x: np.roll(x, 2), (2, 3)),
    "roll along an axis": (lambda x: np.roll(x, -2, axis=1), (2, 3)),
    "roll along axes": (lambda x: np.roll(x, (1, 2), axis=(0, 1)), (2, 3)),
    "roll of nothing": (lambda x: np.roll(x, 1, axis=0), (0, 3)),
    "flip": (np.flip, (2, 3)),
    "flip along an axis": (lambda x: np.flip(x, -1), (2, 3)),
    "flip along axes": (lambda x: np.flip(x, (0, 1)), (2, 3, 4)),
    "flipud, fliplr": (lambda x: np.flipud(x) + np.fliplr(x), (2, 3)),
    "rot90": (np.rot90, (2, 3)),
    "rot90 three times": (lambda x: np.rot90(x, 3, (1, 2)), (2, 3, 4)),
    "rot90 back": (lambda x: np.rot90(x, -1), (2, 3)),
    "fftshift": (lambda x: np.fft.fftshift(x) + np.fft.ifftshift(x, axes=0), (3, 5)),
    "atleast_1d": (np.atleast_1d, ()),
    "atleast_2d": (np.atleast_2d, (3,)),
    "atleast_3d of a vector": (np.atleast_3d, (3,)),
    "atleast_3d of a matrix": (np.atleast_3d, (2, 3)),
    "atleast_3d of a scalar": (np.atleast_3d, ()),
    "broadcast_to": (lambda x: np.broadcast_to(x, (4, 2, 3)), (2, 1)),
    "broadcast_to of a scalar": (lambda x: np.broadcast_to(x, (2, 3)), ()),
    "broadcast_to nothing": (lambda x: np.broadcast_to(x, (0, 3)), (3,)),
    "tile": (lambda x: np.tile(x, (2, 3)), (1, 2)),
    "tile a vector": (lambda x: np.tile(x, 3), (2,)),
    "tile to more axes": (lambda x: np.tile(x, (2, 1, 3)), (2, 2)),
    "tile never": (lambda x: np.tile(x, 0), (2,)),
    "repeat": (lambda x: np.repeat(x, 2), (2, 3)),
    "repeat along an axis": (lambda x: np.repeat(x, 3, axis=1), (2, 3, 2)),
    "repeat unevenly": (lambda x: np.repeat(x, [1, 0, 2], axis=1), (2, 3)),
    "repeat never": (lambda x: np.repeat(x, 0, axis=0), (2, 3)),
    "resize": (lambda x: np.resize(x, (3, 3)), (2, 2)),
    "pad": (lambda x: np.pad(x, 2), (2, 3)),
    "pad each axis": (lambda x: np.pad(x, ((1, 2), (0, 3)), mode="constant"), (2, 3)),
    "pad before and after": (lambda x: np.pad(x, (3, 2), "constant"), (2, 2)),
    "pad with a number": (lambda x: np.pad(x, 1, constant_values=7.0), (2, 3)),
    "pad with numbers": (lambda x: np.pad(x, 1, constant_values=((1, 2), (3, 4))), (2, 3)),
    "pad edge": (lambda x: np.pad(x, ((2, 1), (0, 2)), mode="edge"), (2, 3)),
    "pad reflect": (lambda x: np.pad(x, 2, mode="reflect"), (3, 4)),
    "pad symmetric": (lambda x: np.pad(x, 2, mode="symmetric"), (3, 4)),
    "pad wrap": (lambda x: np.pad(x, (1, 2), mode="wrap"), (3, 4)),
    "diff": (np.diff, (2, 4)),
    "diff twice": (lambda x: np.diff(x, n=2, axis=0), (4, 2)),
    "diff of one": (lambda x: np.diff(x, axis=0), (1, 2)),
    "diff with borders": (lambda x: np.diff(x, prepend=0.0, append=[[2.0], [1.0]]), (2, 3)),
    "ediff1d": (lambda x: np.ediff1d(x, to_begin=1.0, to_end=[2.0, 3.0]), (2, 3)),
    "gradient": (np.gradient, (4,)),
    "gradient of an image": (np.gradient, (3, 4)),
    "gradient between uneven places": (lambda x: np.gradient(x, [0.0, 1.0, 3.0, 3.5]), (4,)),
    "gradient with parabolas at the ends": (lambda x: np.gradient(x, edge_order=2), (4,)),
    "gradient with all of it": (
        lambda x: np.gradient(x, [0.0, 1.0, 3.0, 3.5], 0.5, edge_order=2),
        (4, 3),
    ),
    "reshape by columns": (lambda x: np.reshape(x, (4, -1), order="F"), (2, 3, 4)),
    "reshape method by columns": (lambda x: x.reshape(4, 6, order="F"), (2, 3, 4)),
    "ravel by columns": (lambda x: x.ravel(order="F") + x.flatten("F"), (2, 3)),
    "compress method": (lambda x: x.compress([True, False, True], axis=1), (2, 3)),
    "nothing chosen": (lambda x: x[[]], (2, 3)),
    "tril, triu of a vector": (lambda x: np.tril(x) - np.triu(x, 1), (3,)),
    "gradient with a step": (lambda x: np.gradient(x, 0.5, axis=-1), (3, 4)),
    "trapezoid": (lambda x: np.trapezoid(x, dx=0.5), (2, 4)),
    "trapezoid between points": (lambda x: np.trapezoid(x, [0.0, 1, 3, 4]), (2, 4)),
    "astype and copy": (lambda x: x.astype(np.float64).copy(), (2, 3)),
}


@pytest.mark.parametrize("name", MOVES)
def test_numbers_are_moved(name, agrees, draw):
    function, shape = MOVES[name]
    agrees(function, draw(shape))


JOINS = {
    "concatenate": (lambda x, y: np.concatenate([x, y]), (2, 3), (1, 3)),
    "concatenate a tuple": (lambda x, y: np.concatenate((x, y, x), 1), (2, 3), (2, 1)),
    "concatenate from behind": (lambda x, y: np.concatenate([x, y], axis=-2), (2, 3), (1, 3)),
    "concatenate flat": (lambda x, y: np.concatenate([x, y], axis=None), (2, 3), (2,)),
    "concatenate nothing": (lambda x, y: np.concatenate([x, y]), (0, 3), (2, 3)),
    "concatenate with constants": (
        lambda x, y: np.concatenate([np.ones((1, 3)), x, y, np.ones((2, 3))]), (1, 3), (1, 3),
    ),
    "stack": (lambda x, y: np.stack([x, y, x]), (2, 3), (2, 3)),
    "stack behind": (lambda x, y: np.stack([x, y], axis=-1), (2, 3), (2, 3)),
    "stack scalars": (lambda x, y: np.stack([x, y, x * y]), (), ()),
    "vstack": (lambda x, y: np.vstack([x, y]), (3,), (2, 3)),
    "hstack": (lambda x, y: np.hstack([x, y]), (2, 3), (2, 1)),
    "hstack vectors": (lambda x, y: np.hstack([x, y]), (2,), (3,)),
    "dstack": (lambda x, y: np.dstack([x, y]), (2, 3), (2, 3)),
    "dstack vectors": (lambda x, y: np.dstack([x, y]), (3,), (3,)),
    "column_stack": (lambda x, y: np.column_stack([x, y]), (2,), (2, 3)),
    "append": (np.append, (2, 3), (2,)),
    "append along an axis": (lambda x, y: np.append(x, y, axis=0), (2, 3), (1, 3)),
    "block": (lambda x, y: np.block([[x, y], [y, x]]), (2, 2), (2, 2)),
    "broadcast_arrays": (lambda x, y: list(np.broadcast_arrays(x, y)), (2, 1), (3,)),
    "meshgrid": (lambda x, y: list(np.meshgrid(x, y)), (3,), (2,)),
    "meshgrid by matrix index": (lambda x, y: list(np.meshgrid(x, y, indexing="ij")), (3,), (2,)),
    "meshgrid sparse": (lambda x, y: list(np.meshgrid(x, y, sparse=True)), (3,), (2,)),
    "linspace": (lambda x, y: np.linspace(x, y, 5), (), ()),
    "linspace of vectors": (lambda x, y: np.linspace(x, y, 3, axis=-1), (2,), (2,)),
    "linspace without its end": (lambda x, y: np.linspace(x, y, 4, endpoint=False), (), ()),
    "logspace": (lambda x, y: np.logspace(x, y, 4), (), ()),
    "geomspace": (lambda x, y: np.geomspace(x**2, y**2 + 1, 4), (), ()),
    "full_like": (lambda x, y: x * np.full_like(x, y), (2, 3), ()),
    "insert": (lambda x, y: np.insert(x, 1, y), (4,), ()),
    "insert before several": (lambda x, y: np.insert(x, [3, 0, 3], y), (4,), (3,)),
    "insert a number before several": (lambda x, y: np.insert(x, [1, 2], y), (4,), ()),
    "insert rows": (lambda x, y: np.insert(x, [0, 2], y, axis=0), (2, 3), (2, 1)),
    "insert before a slice": (lambda x, y: np.insert(x, slice(0, 4, 2), y), (4,), (2,)),
    "insert before a mask": (
        lambda x, y: np.insert(x, np.array([True, False, True]), y), (3,), (2,)
    ),
    "insert many before one in a list": (lambda x, y: np.insert(x, [1], y, axis=1), (2, 3), (2, 2)),
    "insert a row": (lambda x, y: np.insert(x, 1, y, axis=0), (2, 3), (3,)),
    "insert a column": (lambda x, y: np.insert(x, -1, y, axis=1), (2, 3), (2,)),
    "a list of traced numbers": (lambda x, y: np.append([x, y, 1.0], y), (), ()),
}  # fmt: skip


@pytest.mark.parametrize("name", JOINS)
def test_arrays_are_joined(name, agrees, draw):
    function, first, second = JOINS[name]
    agrees(function, draw(first, 1), draw(second, 2))


SPLITS = {
    "split": lambda x: np.split(x, 2),
    "split at places": lambda x: np.split(x, [1, 3], axis=1),
    "array_split": lambda x: np.array_split(x, 3, axis=1),
    "vsplit": lambda x: np.vsplit(x, 2),
    "hsplit": lambda x: np.hsplit(x, [1]),
    "unstack": lambda x: list(np.unstack(x, axis=1)),
    "iteration": lambda x: [row * k for k, row in enumerate(x)],
    "flat": lambda x: np.stack([k * e for k, e in enumerate(x.flat)]),
    "delete": lambda x: np.delete(x, 1, axis=1),
    "delete several": lambda x: np.delete(x, [0, 5]),
    "take": lambda x: np.take(x, [[0, 2], [1, 1]], axis=1),
    "take flat": lambda x: np.take(x, [0, 7, 7]),
    "take wrapped": lambda x: np.take(x, [-1, 5], axis=0, mode="wrap"),
    "take clipped": lambda x: x.take([0, 9], 0, mode="clip"),
    "take_along_axis": lambda x: np.take_along_axis(x, np.argsort(x, axis=1), axis=1),
    "compress": lambda x: np.compress([True, False, True], x, axis=1),
    "extract": lambda x: np.extract(np.asarray(x > 0) if x is None else x > 0, x),
    "sort": np.sort,
    "sort along an axis": lambda x: np.sort(x, axis=0),
    "sort flat": lambda x: np.sort(x, axis=None),
    "partition": lambda x: np.sort(np.partition(x, 1, axis=1), axis=1),
    "nonzero": lambda x: x[np.nonzero(x > 0)],
    "where alone": lambda x: x[np.where(x > 0)],
    "searchsorted": lambda x: x[0] * np.searchsorted(np.sort(x[1]), 0.0),
    "diagonal": np.diagonal,
    "diagonal aside": lambda x: np.diagonal(x, 1) if x.ndim == 2 else x,
    "diag of a matrix": lambda x: np.diag(x, -1),
    "diag of a vector": lambda x: np.diag(x[0], 1),
    "diagflat": np.diagflat,
    "trace": np.trace,
    "trace aside": lambda x: np.trace(x, offset=2),
    "tril": lambda x: np.tril(x, 1),
    "triu": lambda x: np.triu(x, -1),
    "triangle by index": lambda x: x[np.tril_indices_from(x)],
    "diagonal by index": lambda x: x[:, :2][np.diag_indices_from(x[:, :2])],
    "ones_like": lambda x: x * np.ones_like(x) + np.zeros_like(x) + 0 * np.empty_like(x[0, 0]),
    "vander": lambda x: np.vander(x[0], 3),
}


@pytest.mark.parametrize("name", SPLITS)
def test_parts_are_picked(name, agrees, draw):
    agrees(SPLITS[name], draw((2, 4)) if name != "compress" else draw((2, 3)))


def test_a_third_axis(agrees, draw):
    agrees(lambda x: np.dsplit(x, 2), draw((2, 2, 4)))
    agrees(lambda x: np.diagonal(x, axis1=1, axis2=-1), draw((3, 2, 3)))
    agrees(
        lambda x: np.linalg.diagonal(x, offset=-1) + np.linalg.trace(x)[..., None], draw((2, 3, 3))
    )
    agrees(lambda x: np.tril(x) + np.triu(x, 1), draw((2, 3, 4)))


INDICES = {
    "integer": np.s_[1],
    "negative integer": np.s_[-1, 0],
    "slice": np.s_[1:3],
    "slice with step": np.s_[::2, ::-1],
    "slice from behind": np.s_[-2:, :-1],
    "empty slice": np.s_[3:1],
    "dots": np.s_[..., 0],
    "new axis": np.s_[:, None, 1],
    "list": np.s_[[0, 2, 2]],
    "lists": np.s_[[0, 1], [2, 0]],
    "array": np.s_[np.array([[0, 1], [1, 3]])],
    "array beside a slice": np.s_[1:, np.array([0, 2])],
    "array, slice, array": np.s_[[0, 1], :, [1, 0]],
    "mask": np.s_[np.array([True, False, True, True])],
    "mask of all axes": np.s_[np.arange(24).reshape(4, 3, 2) % 3 == 0],
    "mask and integer": np.s_[np.array([True, False, True, True]), 1],
    "empty list": np.s_[np.array([], int)],
    "True": np.s_[True],
    "numpy integer": np.s_[np.int64(2)],
    "nothing": np.s_[()],
}


@pytest.mark.parametrize("name", INDICES)
def test_an_index_of_every_kind(name, agrees, draw):
    agrees(lambda x: x[INDICES[name]], draw((4, 3, 2)))


def test_what_is_picked_twice_gets_both_contributions():
    np.testing.assert_array_equal(bp.grad(lambda x: np.sum(x[[0, 0, 1]]))(np.zeros(3)), [2, 1, 0])


def test_a_traced_mask_is_an_index(agrees, draw):
    agrees(lambda x: x[x > 0] ** 2, draw((4, 3)))
    agrees(lambda x: x[np.argmax(x)], draw((5,)))


def test_an_array_assembled_like_a_traced_one(agrees):
    agrees(lambda x, y: np.array([[x, y], [1.0, x * y]], like=x) if hasattr(x, "op") else
           np.array([[x, y], [1.0, x * y]]), 2.0, 3.0)  # fmt: skip


MESSAGES = {
    "stacked arrays must have the same shape": (
        lambda x: np.stack([x, x[0]]),
        "arrays to be stacked must have the same shape\n"
        "  expected: (2, 3)\n"
        "  got:      (2, 3), (3,)\n"
        "  fix:      np.concatenate joins arrays of different lengths",
    ),
    "joined arrays must fit": (
        lambda x: np.concatenate([x, x.T]),
        "x and xs cannot be joined along axis 0\n"
        "  expected: equal lengths on every axis but 0\n"
        "  got:      x is (2, 3) and xs is (3, 2)",
    ),
    "scalars cannot be concatenated": (
        lambda x: np.concatenate([x[0, 0], x[0, 1]]),
        "xs is a scalar and cannot be concatenated\n"
        "  expected: arrays with at least one axis\n"
        "  fix:      use np.stack",
    ),
    "parts must be equal": (
        lambda x: np.split(x, 2, axis=1),
        "3 elements cannot be split into 2 equal parts\n"
        "  fix:      np.array_split allows unequal parts",
    ),
    "only length 1 is squeezed": (
        lambda x: np.squeeze(x, axis=0),
        "axis 0 cannot be squeezed out\n  expected: length 1\n  got:      length 2",
    ),
    "elements stay as many": (
        lambda x: x.reshape(4, 2),
        "x does not fit into the new shape\n"
        "  expected: 6 elements, as in (2, 3)\n"
        "  got:      (4, 2), which has 8",
    ),
    "an index must exist": (
        lambda x: x[5],
        "the index does not fit x\n"
        "  expected: an index into (2, 3)\n"
        "  got:      index 5 is out of bounds for axis 0 with size 2",
    ),
    "an index is made of integers": (
        lambda x: x[x],
        "an index must be made of integers or truth values\n  got:      dtype float64",
    ),
    "an unknown padding": (
        lambda x: np.pad(x, 1, mode="wrapped"),
        "np.pad of a traced array does not know mode='wrapped'\n"
        "  expected: one of constant, empty, edge, reflect, symmetric, wrap, linear_ramp, mean,"
        " maximum, minimum, median",
    ),
}


@pytest.mark.parametrize("name", MESSAGES)
def test_a_mistake_gets_its_message(name):
    function, message = MESSAGES[name]
    with pytest.raises((ShapeError, ArgumentError)) as caught:
        bp.vjp(function, np.ones((2, 3)))
    assert "test_shapes.py" in caught.value.where
    caught.value.where = ""
    assert str(caught.value) == message


def test_a_shape_is_whole_numbers_in_any_sequence():
    x = np.arange(6.0)
    for shape in (np.array([2, 3]), [2, 3], (np.int8(2), -1), range(2, 4), np.array(6), 6):
        value, _ = bp.vjp(lambda x, shape=shape: np.reshape(x, shape), x)
        np.testing.assert_array_equal(value, np.reshape(x, shape))
    for shape in ((2.0, 3.0), np.array([2.0, 3.0]), 6.0):
        with pytest.raises(ArgumentError, match="integer"):
            bp.vjp(lambda x, shape=shape: np.reshape(x, shape), x)
