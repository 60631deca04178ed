"""Random numbers as operations: functions of a key (seed, step), a stream, and their place.

The generator is Philox4x32-10 (Salmon, Moraes, Dror, Shaw, "Parallel random numbers: as easy as
1, 2, 3", SC'11): ten rounds of multiplications turn a counter into four words of 32 bits. So every
number can be worked out by itself, in any order, by any number of threads, again and again.
"""

from __future__ import annotations

from typing import Any

import numpy

from allbps.ir import NUMPY, Aval, Node, Notation, Op, Sample, Zero, line_site
from allbps.ir.draws import draws_here
from allbps.ir.traces import depth_here

Shape = tuple[int, ...]
DRAWN = Zero("what is drawn does not depend on the key smoothly")


# -- the generator: emitted with what draws, in NumPy for every dialect ----------------------------
def philox(counter: Any, key: Any) -> Any:
    """Philox4x32-10: four words of 32 bits, (4, n) as uint64, from a counter (4, n) and a key."""
    low, bits = numpy.uint64(0xFFFFFFFF), numpy.uint64(32)
    c0, c1, c2, c3 = (numpy.asarray(c, numpy.uint64) for c in counter)
    for r in range(10):
        k0 = numpy.uint64((int(key[0]) + r * 0x9E3779B9) & 0xFFFFFFFF)
        k1 = numpy.uint64((int(key[1]) + r * 0xBB67AE85) & 0xFFFFFFFF)
        p0, p1 = c0 * numpy.uint64(0xD2511F53), c2 * numpy.uint64(0xCD9E8D57)
        c0, c1, c2, c3 = (p1 >> bits) ^ c1 ^ k0, p1 & low, (p0 >> bits) ^ c3 ^ k1, p0 & low
    return numpy.stack([c0, c1, c2, c3])


def random_words(key: Any, stream: Any, count: Any) -> Any:
    """The first words of a stream: counter (block, stream, step), key the seed."""
    seed, step = int(key[0]), int(key[1])
    parts = []
    for first in range(0, -(-count // 4), 4096):  # what the first cache holds
        block = numpy.arange(first, min(first + 4096, -(-count // 4)), dtype=numpy.uint64)
        rest = [numpy.full_like(block, n) for n in (stream, step & 0xFFFFFFFF, step >> 32)]
        parts.append(philox([block, *rest], (seed & 0xFFFFFFFF, seed >> 32)).T.ravel())
    return numpy.concatenate([*parts, numpy.zeros(0, numpy.uint64)])[:count]


def bernoulli(key: Any, stream: Any, shape: Any, keep: Any) -> Any:
    """True with probability ``keep``, to 32 bits."""
    words = random_words(key, stream, int(numpy.prod(shape)))
    return (words < int(keep * 2**32)).reshape(shape)[()]


def uniform(key: Any, stream: Any, shape: Any, dtype: Any) -> Any:
    """Numbers in [0, 1): multiples of 2⁻⁵³, or of 2⁻²⁴ in float32."""
    size = int(numpy.prod(shape))
    if numpy.dtype(dtype) == numpy.float32:
        bits = random_words(key, stream, size) >> numpy.uint64(8)
        return (bits * 2.0**-24).astype(dtype).reshape(shape)[()]
    words = random_words(key, stream, 2 * size)
    high, low = words[0::2] >> numpy.uint64(5), words[1::2] >> numpy.uint64(6)
    return ((high * 2.0**26 + low) * 2.0**-53).astype(dtype).reshape(shape)[()]


# -- the operations --------------------------------------------------------------------------------
def key_shape(seed: int, step: int) -> Aval:
    return (2,), numpy.dtype(numpy.int64)


key_op = Op(
    name="key",
    doc="Where random numbers begin: a seed, and which step it is.",
    operands="",
    shape=key_shape,
    numpy="numpy.array([{seed}, {step}])",
    torch="numpy.array([{seed}, {step}])",
    rules=(),
    notation=Notation("key({seed}, {step})"),
    samples=(Sample((), {"seed": 7, "step": 0}),),
)


def bernoulli_shape(key: Node, stream: int, shape: Shape, keep: float) -> Aval:
    return shape, numpy.dtype(bool)


def uniform_shape(key: Node, stream: int, shape: Shape, dtype: Any) -> Aval:
    return shape, numpy.dtype(dtype)


KEY = numpy.array([7, 1])
bernoulli_op = Op(
    name="bernoulli",
    doc="True with a probability, else False, drawn by Philox4x32-10.",
    operands="key",
    shape=bernoulli_shape,
    numpy="bernoulli({key}, stream={stream}, shape={shape}, keep={keep})",
    torch="torch.from_numpy(numpy.asarray(bernoulli({key}, {stream}, {shape}, {keep})))",
    jax="jnp.asarray(bernoulli({key}, stream={stream}, shape={shape}, keep={keep}))",
    helpers=(bernoulli, random_words, philox),
    rules=(DRAWN,),
    notation=Notation("bernoulli({keep})"),
    samples=(
        Sample((KEY,), {"stream": 0, "shape": (3, 3), "keep": 0.5}),
        Sample((KEY,), {"stream": 1, "shape": (), "keep": 0.25}),
    ),
)


def dtype_name(attrs: Any) -> str:
    return str(numpy.dtype(attrs["dtype"]))


def uniform_text(operands: Any, attrs: Any) -> str:
    place = f"stream={attrs['stream']}, shape={attrs['shape']}"
    return f"uniform({operands['key']}, {place}, dtype={dtype_name(attrs)!r})"


uniform_op = Op(
    name="uniform",
    doc="A number in [0, 1), drawn by Philox4x32-10.",
    operands="key",
    shape=uniform_shape,
    numpy=uniform_text,
    torch=lambda operands, attrs: (
        f"torch.from_numpy(numpy.asarray({uniform_text(operands, attrs)}))"
    ),
    jax=lambda operands, attrs: f"jnp.asarray({uniform_text(operands, attrs)})",
    helpers=(uniform, random_words, philox),
    rules=(DRAWN,),
    notation=Notation("uniform(0, 1)"),
    samples=(Sample((KEY,), {"stream": 0, "shape": (3, 3), "dtype": numpy.dtype(numpy.float64)}),),
)


def key_node(seed: int) -> Node:
    """The key of a seed at the step that is traced.

    It counts as an argument of the outermost trace: what is drawn is another in the next step.
    """
    draws = draws_here()
    step = 0 if draws is None else draws.step
    if not isinstance(step, (int, numpy.integer)):
        key: Node = NUMPY[numpy.stack]([seed, step])
        return key
    attrs = {"seed": seed, "step": step}
    return Node(
        key_op, (), (2,), numpy.dtype(numpy.int64), attrs=attrs, value=key_op.run([], attrs),
        site=line_site(), traces=1 if depth_here() else 0,
    )  # fmt: skip
