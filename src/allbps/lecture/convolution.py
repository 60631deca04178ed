"""J = I * K: δK and δI are convolutions again."""

from collections.abc import Mapping
from typing import Any

import numpy as np

import allbps.functional as F
from allbps.lecture.system import Display, Example, Numbers, Prose, System
from allbps.worked import Worked


def convolution(I: Any, K: Any) -> Any:
    J = F.conv2d(I, K)
    return J


KERNEL = np.array([[1.0, 3.0, 5.0], [2.0, 4.0, 6.0]])
DELTA_J = np.array([[1.0, 0.0, -1.0], [2.0, 1.0, 0.0], [0.0, -2.0, 1.0]])


def flip_and_pad(worked: Worked) -> Mapping[str, Any]:
    kernel, delta = worked["K"].value, worked["J"].delta
    h, w = kernel.shape
    return {
        "K": kernel,
        "flip(K)": np.flip(kernel),
        "δJ": delta,
        "pad(δJ)": np.pad(delta, ((h - 1, h - 1), (w - 1, w - 1))),
    }


SYSTEM = System(
    name="convolution",
    title="Backpropagation for a convolution layer",
    slides="Backpropagation (BP) for a conv layer; Derivation of δK; Derivation of δI",
    sections=(
        Prose(
            "Input $I$, an $H × W$ matrix; parameter $K$, an $h × w$ matrix with $h ≤ H$ and "
            "$w ≤ W$; output $J = I * K$, an $(H−h+1) × (W−w+1)$ matrix: "
            "$J(i, j) = Σₗ₌₁ʰ Σₘ₌₁ʷ I(i+l−1, j+m−1) K(l, m)$. The kernel is not flipped: this is "
            "cross-correlation, which neural nets call convolution. Given $δJ$, we need $δK$ to "
            "adjust the kernel by gradient descent, $K ← K − η δK$, and $δI$ to go on with the "
            "layer that precedes this one."
        ),
        Prose("Derivation of $δK$. In the sum for $J(i, j)$ each $K(p, q)$ has one factor:"),
        Display(
            (
                "J(i, j) = Σₗ₌₁ʰ Σₘ₌₁ʷ I(i+l−1, j+m−1) K(l, m)",
                "∂J(i, j)/∂K(p, q) = I(i+p−1, j+q−1)",
                "δK(p, q) = Σᵢ₌₁ᴴ⁻ʰ⁺¹ Σⱼ₌₁ᵂ⁻ʷ⁺¹ ∂J(i, j)/∂K(p, q) δJ(i, j)"
                " = Σᵢ₌₁ᴴ⁻ʰ⁺¹ Σⱼ₌₁ᵂ⁻ʷ⁺¹ I(i+p−1, j+q−1) δJ(i, j)",
            )
        ),
        Prose("This is the formula of a convolution: $δK = I * δJ$."),
        Prose(
            "Derivation of $δI$. An element of $I$ enters $J(i, j)$ only if the kernel covers it:"
        ),
        Display(
            (
                '∂J(i, j)/∂I(p, q) = K(p−i+1, q−j+1) if 0 ≤ p−i ≤ h−1 "and" 0 ≤ q−j ≤ w−1, else 0',
                "δI(p, q) = Σ[i = max(1, p−h+1) … min(p, H−h+1)]"
                " Σ[j = max(1, q−w+1) … min(q, W−w+1)] K(p−i+1, q−j+1) δJ(i, j)",
                "δI(p, q) = Σ[l = max(1, p+h−H) … min(p, h)]"
                " Σ[m = max(1, q+w−W) … min(q, w)] K(l, m) δJ(p−l+1, q−m+1)",
            )
        ),
        Prose(
            "The last line has $l = p−i+1$ and $m = q−j+1$. The index of $δJ$ now runs "
            "backwards, so the kernel must be flipped to write it as a convolution, and zeros "
            "around $δJ$ replace the bounds: $δI = pad(δJ) * flip(K)$. The size of $pad(δJ)$ is "
            "$(H+h−1) × (W+w−1)$, so the result is $H × W$ again. Where the layer itself pads its "
            "input, as in the residual connection, $δJ$ gets correspondingly fewer zeros."
        ),
        Numbers(
            "pad adds h−1 rows of zeros above and below, w−1 columns left and right; "
            "flip turns by 180°",
            flip_and_pad,
        ),
        Example(
            convolution,
            {
                "I": np.array(
                    [
                        [1.0, 2.0, 0.0, 1.0, 3.0],
                        [0.0, 1.0, 1.0, 2.0, 0.0],
                        [2.0, 0.0, 3.0, 1.0, 1.0],
                        [1.0, 1.0, 0.0, 2.0, 4.0],
                    ]
                ),
                "K": KERNEL,
            },
            cotangents={"J": DELTA_J},
        ),
    ),
)
