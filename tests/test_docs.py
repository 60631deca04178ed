"""What docs/ shows, run."""

import os
import re
import subprocess
import sys
from pathlib import Path

DOCS = Path(__file__).parents[1] / "docs"

AS_A_USER = """
import numpy as np
import allbps as bp
from allbps.ir import Op
from allbps.ops import activation
from allbps.ops.function import abs_
from allbps.ops.shapes import elementwise_float

scope = {**vars(activation), "Op": Op, "abs_": abs_, "elementwise_float": elementwise_float}
exec(BLOCK, scope)
softsign = scope["softsign"]


def net(x):
    y = softsign(x)
    return np.sum(y * y)


x = np.array([0.5, -1.0, 3.0])
worked = bp.explain(net, x)
report = worked.verify()
assert report and "expansion" in report.judges, str(report)
assert "because y = softsign(x), ∂y/∂x = (1 − |y|)²" in worked.to_text()
assert "torch.nn.functional.softsign(x)" in worked.to_source("torch")
_, gradient = bp.compile(net, x, params="x")(x)
np.testing.assert_allclose(gradient, worked["x"].delta, rtol=1e-13)
"""


def test_the_operation_of_the_guide_is_known_everywhere():
    (block,) = re.findall(r"```python\n(.*?)```", (DOCS / "adding-an-op.md").read_text(), re.S)
    code = AS_A_USER.replace("BLOCK", repr(block))
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def blocks_of(guide):
    return re.findall(r"```python\n(.*?)```", (DOCS / guide).read_text(), re.S)


def test_the_optimiser_of_the_guide_trains(tmp_path):
    (block,) = blocks_of("adding-an-optimiser.md")
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", block], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


KERNEL_AS_CALLED = """
import numpy as np
import allbps as bp
import allbps.functional as F
import the_guide
from allbps.machine.works import rows
rows.KERNELS["log_softmax"] = the_guide.emit
x = np.random.default_rng(0).normal(size=(5, 7))
f = bp.compile(lambda x: F.log_softmax(x, -1), x)
assert "from the_guide import log_softmax as _log_softmax" in f.source()
np.testing.assert_allclose(f(x), F.log_softmax(x, -1), rtol=1e-12)
"""


def test_the_kernel_of_the_guide_is_called(tmp_path):
    (tmp_path / "the_guide.py").write_text("\n".join(blocks_of("adding-a-kernel.md")))
    (tmp_path / "main.py").write_text(KERNEL_AS_CALLED)
    done = subprocess.run(
        [sys.executable, "-W", "error", str(tmp_path / "main.py")],
        capture_output=True, text=True, check=False,
        env={**os.environ, "ALLBPS_CACHE_DIR": str(tmp_path)},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
