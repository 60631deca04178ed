"""In a notebook: what shows itself, the magic for a cell, and the notebooks among the examples."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import allbps as bp
import allbps.functional as F
from allbps.errors import ArgumentError, UserFileError

EXAMPLES = Path(__file__).parent.parent / "examples"


def net(X, W):
    Z = X @ W
    return np.sum(F.relu(Z) * Z)


@pytest.fixture(scope="module")
def worked():
    return bp.explain(net, np.array([[1.0, 2.0]]), np.array([[1.0, -1.0], [0.5, 2.0]]))


def test_everything_shows_itself_with_a_style_of_its_own(worked):
    step = bp.compile(net, np.ones((2, 3)), np.ones((3, 2)), params="W")
    for shown in (worked, worked["Z"], worked.verify(), step.stages()):
        html = shown._repr_html_()
        assert html.startswith('<div class="allbps-sheet">')
        style = html.partition("<style>")[2].partition("</style>")[0]
        rules = [line for line in style.splitlines() if "{" in line]
        assert all(".allbps-sheet" in rule.partition("{")[0] for rule in rules)
        assert "<script" not in html


def test_an_entry_shows_its_value_each_contribution_and_the_sum(worked):
    kinds = [step.kind for step in worked["Z"].steps]
    assert kinds == ["forward", "contribution", "contribution", "delta"]
    assert worked["Z"]._repr_html_().count('class="step ') == 4


def test_a_report_prints_as_a_report(worked):
    report = worked.verify()
    assert repr(report) == str(report)
    assert "verified" in report._repr_html_()
    wrong = bp.check(net, *[worked[k].value for k in "XW"], gradients={"W": np.ones((2, 2))})
    assert "W is wrong" in wrong._repr_html_()


def test_names_in_a_report_inject_nothing():
    def evil(x):
        return np.sum(x * x)  # <img src=x onerror=alert(1)>

    html = bp.explain(evil, np.ones(2)).verify()._repr_html_()
    assert "&lt;img" in html
    assert "<img" not in html


# -- the magic -----------------------------------------------------------------------------------
@pytest.fixture
def shell():
    interactive = pytest.importorskip("IPython.core.interactiveshell")
    made = interactive.InteractiveShell.instance()
    made.run_line_magic("load_ext", "allbps")
    made.user_ns.update(
        np=np, F=F, X=np.array([[1.0, 2.0]]), W=np.array([[1.0, -1.0], [0.5, 2.0]]), n=3, name="a"
    )
    yield made
    made.history_manager.end_session()
    interactive.InteractiveShell.clear_instance()


def explained(shell, line, cell):
    return shell.run_cell_magic("explain", line, cell)


def test_a_cell_is_a_function_of_the_arrays_that_it_reads(shell):
    w = explained(shell, "", "Z = X @ W\nL = np.sum(Z * n)\n")
    assert w.names[:2] == ("X", "W")
    np.testing.assert_array_equal(w["W"].delta, [[3, 3], [6, 6]])
    assert "L" in w.names


def test_only_the_named_arrays_get_a_delta(shell):
    w = explained(shell, "W", "np.sum(F.relu(X @ W))\n")
    assert w["X"].delta is None
    assert w["W"].delta is not None


def test_a_name_that_the_cell_binds_anew_is_read_first(shell):
    w = explained(shell, "", "X = X @ W\nX.sum()\n")
    np.testing.assert_array_equal(w["X"].delta, [[0, 2.5]])


def test_lines_are_those_of_the_cell_and_the_cell_is_named(shell):
    shell.execution_count = 7
    w = explained(shell, "W", "\nZ = X @ W\nL = np.sum(Z)\n")
    assert w["Z"].line == "In[7]:3 in cell: Z = X @ W"


@pytest.mark.parametrize(
    ("line", "cell", "said"),
    [
        ("q", "L = X.sum()", "no array called q"),
        ("", "L = n * 2", "reads no array"),
        ("", "for x in X:\n    pass", "not a value"),
        ("", "L = X.sum(", "not valid Python"),
    ],
)
def test_a_cell_that_cannot_be_explained_is_refused_in_words(shell, line, cell, said):
    with pytest.raises((ArgumentError, UserFileError), match=said):
        explained(shell, line, cell)


# -- the examples --------------------------------------------------------------------------------
RUN = """
import sys, nbclient, nbformat
from jupyter_client import KernelManager
book = nbformat.read(sys.argv[1], as_version=4)
nbclient.NotebookClient(book, timeout=200, km=KernelManager(transport="ipc")).execute()
nbformat.write(book, sys.argv[2])
"""
BOOKS = sorted(EXAMPLES.glob("*.ipynb"))


@pytest.mark.skipif(not EXAMPLES.exists(), reason="the wheel has no examples beside it")
def test_there_is_a_notebook_for_each_kind_of_reader():
    assert {book.stem for book in BOOKS} >= {"learn", "check", "port", "train"}


@pytest.mark.skipif(not EXAMPLES.exists(), reason="the wheel has no examples beside it")
@pytest.mark.parametrize("name", ["learn", "check", "port", "train"])
def test_a_notebook_runs_from_top_to_bottom_and_is_kept_with_its_results(name, tmp_path):
    nbformat = pytest.importorskip("nbformat")
    pytest.importorskip("nbclient")
    pytest.importorskip("ipykernel")
    book = nbformat.read(EXAMPLES / f"{name}.ipynb", as_version=4)
    code = [cell for cell in book.cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in code] == [*range(1, len(code) + 1)]
    done = subprocess.run(
        [sys.executable, "-c", RUN, EXAMPLES / f"{name}.ipynb", tmp_path / "run.ipynb"],
        capture_output=True, text=True, check=False, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    again = nbformat.read(tmp_path / "run.ipynb", as_version=4)
    assert derivations(book) == derivations(again)


def derivations(book):
    """What the cells show of derivations, which is the same on every machine."""
    shown = [o.get("data", {}) for cell in book.cells for o in cell.get("outputs", ())]
    return [html for data in shown if 'class="step ' in (html := data.get("text/html", ""))]
