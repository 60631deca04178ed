"""Numbers change their kind by rounding only: what else would be lost is said."""

import numpy as np
import pytest

from allbps.weights.numbers import KINDS, as_kind, bfloat16_bits, from_bits

torch = pytest.importorskip("torch")


def every_half():
    return np.arange(2**16, dtype=np.uint16)


def test_every_bfloat16_is_read_as_pytorch_reads_it():
    bits = every_half()
    expected = torch.from_numpy(bits.view(np.int16)).view(torch.bfloat16).float().numpy()
    np.testing.assert_array_equal(from_bits(bits.tobytes(), "bfloat16"), expected)


def test_bfloat16_is_rounded_as_pytorch_rounds():
    near = every_half().astype(np.uint32) << 16
    around = near[:, None] + np.array([0, 1, 0x7FFF, 0x8000, 0x8001, 0xFFFF], np.uint32)
    numbers = around.view(np.float32)
    expected = torch.from_numpy(numbers).to(torch.bfloat16).float().numpy()
    np.testing.assert_array_equal(
        from_bits(bfloat16_bits(numbers).tobytes(), "bfloat16").reshape(numbers.shape), expected
    )


EDGES = [
    0, 1, -1, 2.5, 255, 256, 65504, 65520, 2**24 + 1, 2**31, 2**53 + 1, 2**63 - 1, 2**63,
    2**64 - 1, -(2**63), 1e300, float("nan"), float("inf"), 1 + 2j,
]  # fmt: skip


def held(value, kind):
    """The value as an array of the kind, where it is exactly that."""
    with np.errstate(all="ignore"):
        try:
            array = (
                np.asarray([value]).astype(kind)
                if isinstance(value, complex)
                else np.array([value], kind)
            )
        except (OverflowError, ValueError, TypeError):
            return None
    exact = array[0].item()
    return array if exact == value or exact != exact != value != value else None  # noqa: PLR0124


@pytest.mark.filterwarnings("ignore::numpy.exceptions.ComplexWarning")
@pytest.mark.parametrize("source", [k for k in KINDS.values() if k != "bfloat16"])
def test_what_is_kept_is_the_number_or_its_rounding(source):
    for target in KINDS.values():
        for value in EDGES:
            given = held(value, source)
            if given is None:
                continue
            made, lost = as_kind(given, target)
            both_float = given.dtype.kind in "fc" and np.dtype(made.dtype).kind in "fc"
            back, value_now = made[0].item(), given[0].item()
            kept = back == value_now or (back != back and value_now != value_now)  # noqa: PLR0124
            if not both_float:
                assert bool(lost) != kept, (source, target, value)
            elif not lost and not kept:
                assert np.isclose(back, value_now, rtol=2**-7), (source, target, value)
