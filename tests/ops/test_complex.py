"""Complex numbers: δ in JAX's convention, the conjugate of PyTorch's; refusals."""

import numpy as np
import pytest

import allbps as bp
import allbps.functional as F
from allbps.errors import AllBPsError, DtypeError, NoRuleError
from allbps.machine.compile import compile  # noqa: A004

torch = pytest.importorskip("torch")
RNG = np.random.default_rng(8)


def plane(*shape):
    return RNG.normal(size=shape) + 1j * RNG.normal(size=shape)


Z, V, M = plane(2, 3), plane(3), plane(3, 3) + 3 * np.eye(3)
X = RNG.normal(size=(4, 6))
FUNCTIONS = {
    "sum": (lambda np, z: z + 2.0 * z - z / 3.0, lambda t, z: z + 2.0 * z - z / 3.0, Z),
    "product": (lambda np, z, v: z * v, lambda t, z, v: z * v, Z, V),
    "with real numbers": (lambda np, z, x: z * x, lambda t, z, x: z * x, Z, X[0, :3]),
    "quotient": (lambda np, z, v: z / v, lambda t, z, v: z / v, Z, V),
    "power": (lambda np, z: z**3 + z**-1, lambda t, z: z**3 + z**-1, Z),
    "conj": (lambda np, z: np.conj(z) * z, lambda t, z: t.conj(z) * z, Z),
    "real": (lambda np, z: z.real * 2.0, lambda t, z: z.real * 2.0, Z),
    "imag": (lambda np, z: np.imag(z * z), lambda t, z: (z * z).imag, Z),
    "abs": (lambda np, z: abs(z) ** 3, lambda t, z: z.abs() ** 3, Z),
    "angle": (lambda np, z: np.angle(z), lambda t, z: t.angle(z), Z),
    "exp": (lambda np, z: np.exp(z), lambda t, z: t.exp(z), Z),
    "log": (lambda np, z: np.log(z), lambda t, z: t.log(z), Z),
    "sqrt": (lambda np, z: np.sqrt(z), lambda t, z: t.sqrt(z), Z),
    "sin": (lambda np, z: np.sin(z) + np.cos(z), lambda t, z: t.sin(z) + t.cos(z), Z),
    "tanh": (lambda np, z: np.tanh(z) + np.sinh(z), lambda t, z: t.tanh(z) + t.sinh(z), Z),
    "matmul": (lambda np, z, m: z @ m, lambda t, z, m: z @ m, Z, M),
    "vdot": (lambda np, v, w: np.vdot(v, w), lambda t, v, w: t.vdot(v, w), V, plane(3)),
    "einsum": (
        lambda np, z, m: np.einsum("ij,jk->ik", z, m),
        lambda t, z, m: t.einsum("ij,jk->ik", z, m), Z, M,
    ),
    "inv": (lambda np, m: np.linalg.inv(m), lambda t, m: t.linalg.inv(m), M),
    "solve": (lambda np, m, v: np.linalg.solve(m, v), lambda t, m, v: t.linalg.solve(m, v), M, V),
    "norm": (lambda np, z: np.linalg.norm(z), lambda t, z: t.linalg.norm(z), Z),
    "parts": (lambda np, z: z[0, ::2] * z[1, 1:], lambda t, z: z[0, ::2] * z[1, 1:], Z),
    "mean": (lambda np, z: np.mean(z, axis=0), lambda t, z: z.mean(0), Z),
    "complex": (
        lambda np, a, b: np.square(a + 1j * b), lambda t, a, b: t.square(t.complex(a, b)), X, X * 2,
    ),
    "view_as_real": (
        lambda np, z: F.view_as_real(z) ** 2, lambda t, z: t.view_as_real(z) ** 2, Z,
    ),
    "fft": (lambda np, z: np.fft.fft(z, 5), lambda t, z: t.fft.fft(z, 5), Z),
    "ifft": (lambda np, z: np.fft.ifft(z, axis=0), lambda t, z: t.fft.ifft(z, dim=0), Z),
    "rfft": (lambda np, x: np.fft.rfft(x, 5), lambda t, x: t.fft.rfft(x, 5), X),
    "irfft": (lambda np, z: np.fft.irfft(z), lambda t, z: t.fft.irfft(z), Z),
    "irfft, odd": (lambda np, z: np.fft.irfft(z, 7), lambda t, z: t.fft.irfft(z, 7), Z),
    "hfft": (
        lambda np, z: np.fft.hfft(z, norm="ortho"), lambda t, z: t.fft.hfft(z, norm="ortho"), Z,
    ),
    "ihfft": (lambda np, x: np.fft.ihfft(x), lambda t, x: t.fft.ihfft(x), X),
    "fftn": (
        lambda np, x: np.fft.fft2(x, (3, 8), norm="forward"),
        lambda t, x: t.fft.fft2(x, (3, 8), norm="forward"), X,
    ),
    "power spectrum": (
        lambda np, x: np.abs(np.fft.rfftn(x)) ** 2, lambda t, x: t.fft.rfftn(x).abs() ** 2, X,
    ),
    "back and forth": (
        lambda np, x: np.fft.irfftn(np.fft.rfftn(x) ** 2, x.shape),
        lambda t, x: t.fft.irfftn(t.fft.rfftn(x) ** 2, x.shape), X,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", FUNCTIONS)
def test_delta_is_the_conjugate_of_pytorchs(name):
    ours, theirs, *xs = FUNCTIONS[name]
    tensors = [torch.tensor(x, requires_grad=True) for x in xs]
    want = theirs(torch, *tensors)
    value, pullback = bp.vjp(lambda *zs: ours(np, *zs), *xs)
    np.testing.assert_allclose(value, want.detach().resolve_conj().numpy(), rtol=1e-12, atol=1e-12)
    rng = np.random.default_rng(1)
    g = rng.normal(size=np.shape(value))
    g = g + 1j * rng.normal(size=g.shape) if np.iscomplexobj(value) else g
    cotangent = torch.tensor(np.conj(g) if np.iscomplexobj(g) else g)
    gradients = torch.autograd.grad(want, tensors, cotangent)
    for got, gradient in zip(pullback(g), gradients, strict=True):
        expected = gradient.resolve_conj().numpy()
        if np.iscomplexobj(expected):
            expected = np.conj(expected)
        assert got.dtype == expected.dtype
        np.testing.assert_allclose(got, expected, rtol=1e-9, atol=1e-10)


@pytest.mark.parametrize(
    "name", ["product", "exp", "abs", "conj", "irfft", "power spectrum", "inv"]
)
def test_forward_mode_and_second_order_are_those_of_differences(name):
    ours, _, *xs = FUNCTIONS[name]

    def loss(*zs):
        return np.sum(np.abs(ours(np, *zs)) ** 2)

    rng = np.random.default_rng(2)
    vs = [rng.normal(size=x.shape) + (1j * rng.normal(size=x.shape) if x.dtype.kind == "c" else 0)
          for x in xs]  # fmt: skip
    vs = [np.asarray(v, x.dtype) for v, x in zip(vs, xs, strict=True)]

    def along(zs):
        """dL = Re Σ δz dz."""
        gradients = bp.grad(loss, tuple(range(len(zs))))(*zs)
        return sum(np.sum(g * v).real for g, v in zip(gradients, vs, strict=True))

    def moved(t):
        return [x + t * v for x, v in zip(xs, vs, strict=True)]

    step = 1e-4
    first = (loss(*moved(step)) - loss(*moved(-step))) / (2 * step)
    np.testing.assert_allclose(along(xs), first, rtol=1e-6)
    np.testing.assert_allclose(bp.jvp(loss, xs, vs)[1], along(xs), rtol=1e-9)
    _, curved = bp.jvp(lambda *zs: bp.grad(loss, 0)(*zs), xs, vs)
    slope = (bp.grad(loss, 0)(*moved(step)) - bp.grad(loss, 0)(*moved(-step))) / (2 * step)
    np.testing.assert_allclose(curved, slope, rtol=1e-5, atol=1e-5)


def test_jax_has_the_same_delta():
    jax = pytest.importorskip("jax")
    jax.config.update("jax_enable_x64", True)

    def loss(np, z):
        return np.sum(np.abs(np.fft.fft(z) * np.conj(z)) * np.real(np.exp(z)))

    got = bp.grad(lambda z: loss(np, z))(Z)
    np.testing.assert_allclose(got, jax.grad(lambda z: loss(jax.numpy, z))(Z), rtol=1e-10)


@pytest.mark.parametrize("matrix", [X[:3, :3], M, X[:3, :3] @ X[:3, :3].T, X[:4, :4]])
def test_eigenvalues_and_vectors_of_any_matrix(matrix):
    """Along a line, whose points NumPy knows; vectors by their sizes and by a product."""
    direction = np.asarray(RNG.normal(size=matrix.shape), matrix.dtype)

    def f(a):
        values, vectors = np.linalg.eig(a)
        first = np.abs(vectors[0]) ** 2
        return (
            np.sum(np.abs(values - 0.3) ** 2)
            + np.sum(first * np.abs(values))
            + np.sum(np.real(vectors * values)[1] * np.abs(vectors[1]))
        )

    step = 1e-5
    slope = (f(matrix + step * direction) - f(matrix - step * direction)) / (2 * step)
    along = np.sum(bp.grad(f)(matrix) * direction).real
    np.testing.assert_allclose(along, slope, rtol=1e-6, atol=1e-7)
    value, _ = bp.vjp(lambda a: list(np.linalg.eig(a)), matrix)
    for got, want in zip(value, np.linalg.eig(matrix), strict=True):
        assert got.dtype == want.dtype
        np.testing.assert_allclose(got, want, rtol=1e-12)


REFUSED = {
    "var": lambda z: np.sum(np.var(z)),
    "max": lambda z: np.max(z),
    "order": lambda z: np.sum(np.where(z > 0, 1.0, 2.0)),
    "svd": lambda z: np.sum(np.linalg.svd(z, compute_uv=False)),
    "det": lambda z: np.real(np.linalg.det(z[:, :2])),
    "vocabulary": lambda z: np.sum(F.normalize(z)),
    "real dtype": lambda z: np.sum(z.astype(float)),
    "loss": lambda z: np.sum(z),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_knows_only_real_numbers_refuses_complex_ones(name):
    with pytest.raises(DtypeError, match="complex"):
        bp.grad(REFUSED[name])(Z)


def spectrum(x):
    p = np.abs(np.fft.rfft(x)) ** 2
    return np.sum(p * p)


def test_complex_numbers_inside_are_explained_and_real_delta_checked():
    worked = bp.explain(spectrum, X[0])
    assert "i  " in worked.to_text() or "i ]" in worked.to_text()
    report = worked.verify()
    assert report
    assert {"torch", "differences"} <= set(report.judges)
    assert "np.fft.rfft(" in worked.to_source()
    assert "torch.fft.rfft(" in worked.to_source("torch")
    worked.to_json(), worked.to_svg(), worked.to_latex(), worked.to_markdown()


@pytest.mark.parametrize("imaginary", [0.0, 1.0])
def test_questions_about_complex_numbers_are_answered_as_numpy_does(imaginary):
    asked = []

    def f(a, b):
        z = F.complex(a, b)
        asked.append((np.iscomplexobj(z), np.isrealobj(z), np.iscomplexobj(a), np.isrealobj(a)))
        return np.sum(np.where(np.isreal(z), 2.0, 3.0) * a + np.iscomplex(z) * b)

    a, b = np.ones(2), np.full(2, imaginary)
    da, db = bp.grad(f, (0, 1))(a, b)
    assert asked == [(True, False, False, True)]
    assert da.tolist() == [3.0 if imaginary else 2.0] * 2
    assert db.tolist() == [1.0 if imaginary else 0.0] * 2


def test_the_first_complex_delta_of_a_page_says_what_it_stands_for():
    text = " ".join(bp.explain(spectrum, X[0]).to_text().split())
    assert text.count("δt₁ stands for ∂L/∂Re(t₁) − i (∂L/∂Im(t₁))") == text.count("stands for") == 1


def test_a_complex_argument_of_a_derivation_and_compiled_code_say_what_they_lack():
    with pytest.raises(AllBPsError, match="is not made of real numbers"):
        bp.explain(lambda z: np.sum(np.abs(z)), Z)
    with pytest.raises(NoRuleError, match="has no formula for its parts"):
        compile(lambda x: np.sum(np.abs(np.linalg.eigvals(x))), RNG.normal(size=(3, 3)), params="x")


def test_the_square_of_a_size_has_all_its_derivatives_at_zero():
    def squared(x):
        return np.abs(x[0] + 1j * x[1]) ** 2

    np.testing.assert_array_equal(bp.hessian(squared)(np.zeros(2)), 2 * np.eye(2))
    np.testing.assert_allclose(bp.hessian(squared)(np.array([3.0, 4.0])), 2 * np.eye(2), atol=1e-15)
