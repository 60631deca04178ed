"""The commands: arguments only; the work is done in the rooms below."""

from __future__ import annotations

import json
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from rich.console import Console
from rich.text import Text

from allbps import __version__
from allbps.bench.command import bench
from allbps.errors import AllBPsError, ArgumentError, DivergedError, WorkerError
from allbps.exits import DONE, FAILED, INTERRUPTED, MISUSE
from allbps.readings.dialect import DIALECTS
from allbps.train.command import train
from allbps.worked import FORMATS

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
FORM = f"{', '.join(FORMATS)}."
INPUTS = "its file says what to call it on, in a dict: FUNCTION_inputs, or inputs."
Target = Annotated[
    str,
    typer.Argument(metavar="FILE.py:FUNCTION", help=f"The function to work on; {INPUTS}"),
]
Out = Annotated[Path | None, typer.Option(help="Write to this file instead of the terminal.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Digits = Annotated[
    int | None, typer.Option("--digits", min=1, max=14, help="Significant digits of the numbers.")
]
Decimals = Annotated[
    int | None,
    typer.Option(
        "--decimals", min=0, max=14, help="Digits after the decimal point, instead of --digits."
    ),
]
Exact = Annotated[bool, typer.Option("--exact", help="Write 1/3, √2 and ln 2 where exact.")]
Limit = Annotated[
    int | None,
    typer.Option("--limit", min=1, help="Show arrays of up to this many rows and columns in full."),
]
By = Annotated[
    str,
    typer.Option(
        "--by",
        help="One step per operation, one per line, or lines in blocks: calls of your functions,"
        " torch modules, turns of loops.",
    ),
]
Wrt = Annotated[
    str,
    typer.Option(
        help="Arguments to differentiate with respect to: W1,b1. If omitted, those that the file's"
        " wrt names, or all."
    ),
]


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"allbps {__version__}")
        raise typer.Exit


@app.callback()
def allbps(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Write a forward computation, get its backward pass to read, check and run."""


@app.command()
def lecture(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="[NAME]…", help="Systems to show; all by default.")
    ] = None,
    show_list: Annotated[bool, typer.Option("--list", help="List the systems.")] = False,
    form: Annotated[
        str | None, typer.Option("--format", help=f"{FORM} Text by default; with --out all.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Write the files into this folder.")] = None,
    check: Annotated[bool, typer.Option("--check", help="Verify every δ instead.")] = False,
    seed: Annotated[
        int | None, typer.Option(min=0, help="Draw random numbers instead of the hand-chosen ones.")
    ] = None,
    digits: Digits = None,
    decimals: Decimals = None,
    exact: Exact = False,
    limit: Limit = None,
    as_json: AsJson = False,
) -> None:
    """Show the lecture's systems: every value, every δ, every reason."""
    from allbps.lecture import commands

    numerals = _numerals(digits, decimals, exact, limit)
    if show_list:
        typer.echo(commands.listing(as_json))
    elif check:
        text, passed = commands.check(names or [], seed, as_json)
        typer.echo(text)
        if not passed:
            raise typer.Exit(FAILED)
    elif out is not None:
        chosen = "json" if as_json else form
        typer.echo(commands.write(names or [], out, chosen, seed, **numerals))
    else:
        chosen = "json" if as_json else form or "text"
        typer.echo(commands.show(names or [], chosen, seed, _width(), **numerals))


@app.command()
def explain(
    target: Target,
    form: Annotated[str, typer.Option("--format", help=FORM)] = "text",
    wrt: Wrt = "",
    by: By = "operation",
    digits: Digits = None,
    decimals: Decimals = None,
    exact: Exact = False,
    limit: Limit = None,
    symbol: Annotated[
        list[str] | None,
        typer.Option("--symbol", help="How to write a name: Yp=Yᵖ. May be repeated."),
    ] = None,
    out: Out = None,
    as_json: AsJson = False,
) -> None:
    """Show every value and every δ of a function, with its formula and its reason."""
    worked = _worked(target, wrt, _symbols(symbol or []))
    for remark in filter(None, () if wrt else (_data_too(worked), _constants(worked))):
        typer.echo(f"note: {remark}", err=True)
    worked = worked.shown(by=by, **_numerals(digits, decimals, exact, limit))
    _deliver(worked.render("json" if as_json else form, width=_width()), out)


@app.command()
def emit(
    target: Target,
    to: Annotated[str, typer.Option("--target", help=f"{', '.join(DIALECTS)}, onnx.")] = "numpy",
    wrt: Wrt = "",
    out: Out = None,
) -> None:
    """Write the backward pass of a function as readable source, or with its forward as ONNX.

    With --out, large constants go into an .npz file of the same name beside it.
    """
    if to == "onnx":
        _write_onnx(target, wrt, out)
        return
    text = _worked(target, wrt).to_source(to, out)
    if out is None:
        typer.echo(text)
    else:
        typer.echo(f"written: {out}", err=True)


@app.command()
def check(
    target: Target,
    wrt: Wrt = "",
    seed: Annotated[int, typer.Option(min=0, help="Seed of the random directions.")] = 0,
    gradients: Annotated[
        str,
        typer.Option(
            metavar="FILE",
            help="Gradients of your own: FILE.json, FILE.npz, NAME.csv or FILE.py:FUNCTION.",
        ),
    ] = "",
    decimals: Annotated[
        int | None, typer.Option(min=0, help="The number of decimals they were rounded to.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Check every δ of a function against independent judges, or gradients of your own."""
    with np.errstate(all="ignore"):
        if gradients and wrt:
            raise ArgumentError(
                "--wrt chooses which δ to verify; --gradients checks all the gradients handed in",
                todo="leave --wrt out, and hand in only the gradients to check",
            )
        if gradients:
            report = _marked(target, gradients, decimals, seed)
        else:
            report = _worked(target, wrt).verify(seed=seed)
    typer.echo(json.dumps(report.to_json(), indent=2) if as_json else str(report))
    if not report:
        raise typer.Exit(FAILED)


@app.command()
def serve(
    target: Annotated[
        str,
        typer.Argument(metavar="[FILE.py:FUNCTION]", help="A function of your own to start with."),
    ] = "",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 picks a free port.")] = 0,
    limit: Annotated[
        float, typer.Option(min=1.0, help="Time limit of one derivation, in seconds.")
    ] = 20.0,
    open_page: Annotated[bool, typer.Option("--open", help="Open the page in a browser.")] = False,
) -> None:
    """Serve a live page on this machine: change numbers, shapes or the formula and see."""
    from allbps import userfile
    from allbps.serve.run import listen

    if target:
        userfile.load(target)  # no file, no function, no inputs: said here rather than on the page
    listen(target, port=port, limit=limit, open_page=open_page, tell=typer.echo)


@app.command(
    context_settings={
        "allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": [],
    }
)  # fmt: skip
def torchrun(context: typer.Context) -> None:
    """Start several workers by PyTorch's torchrun, with its arguments; errors in one message."""
    from allbps.distributed.launching import launch

    if code := launch(context.args):
        raise typer.Exit(code)


app.command()(train)
app.command()(bench)


def _marked(target: str, source: str, decimals: int | None, seed: int) -> Any:
    from allbps import userfile
    from allbps.handin import gradients_from
    from allbps.verify import check as check_function

    user = userfile.load(target)
    given = gradients_from(source, user.inputs)
    cotangent = next(iter(user.cotangents.values()), None)
    with userfile.running(target.rpartition(":")[0]):
        return check_function(
            user.function, gradients=given, cotangent=cotangent, decimals=decimals, seed=seed,
            **user.inputs,
        )  # fmt: skip


def _symbols(said: list[str]) -> dict[str, str]:
    """``Yp=Yᵖ`` as a name and its symbol."""
    pairs = [text.partition("=") for text in said]
    for name, equals, symbol in pairs:
        if not (name and equals and symbol):
            raise ArgumentError("--symbol takes NAME=SYMBOL", got=f"{name}{equals}{symbol}")
    return {name: symbol for name, _, symbol in pairs}


def _numerals(
    digits: int | None, decimals: int | None, exact: bool, limit: int | None
) -> dict[str, Any]:
    """The settings that were given."""
    sizes = {} if limit is None else {"side": limit, "size": limit * limit}
    given = {"digits": digits, "decimals": decimals, "exact": exact or None, **sizes}
    return {name: value for name, value in given.items() if value is not None}


def _worked(target: str, wrt: str, symbols: dict[str, str] | None = None) -> Any:
    from allbps import userfile
    from allbps.worked import explain as explain_function

    user = userfile.load(target)
    # what is read says where the first NaN or infinity is
    with userfile.running(target.rpartition(":")[0]), np.errstate(all="ignore"):
        return explain_function(
            user.function,
            wrt=_names(wrt) or user.wrt,
            cotangents=user.cotangents,
            symbols={**user.symbols, **(symbols or {})},
            **user.inputs,
        )


def _data_too(worked: Any) -> str:
    """How to leave out the δ of data, where the parameters stand in containers of their own."""
    from allbps.ir import Node
    from allbps.tree import leaves

    passed = worked.backward.traced.parameters
    shown = {name for name, x in passed.items() if set(leaves(x)) & set(worked.backward.wrt)}
    data = [name for name in passed if name in shown and isinstance(passed[name], Node)]
    held = [name for name in passed if name in shown and name not in data]
    if not data or not held:
        return ""
    has, them = ("has", "it") if len(data) == 1 else ("have", "them")
    return f"{' and '.join(data)} {has} δ too; --wrt {','.join(held)} leaves {them} out"


def _constants(worked: Any) -> str:
    """Which arrays have no δ since they are no arguments."""
    traced = worked.backward.traced
    if not traced.hidden:
        return ""
    kept = " and ".join(traced.hidden)
    return f"{kept} are constants here: give {traced.function} an argument for what is to have a δ"


def _write_onnx(target: str, wrt: str, out: Path | None) -> None:
    from allbps import userfile
    from allbps.onnx.exporting import export_traced
    from allbps.trace import trace

    if out is None:
        raise ArgumentError("an ONNX model is not text", todo="add --out net.onnx")
    user = userfile.load(target)
    with userfile.running(target.rpartition(":")[0]), np.errstate(all="ignore"):
        traced = trace(user.function, **user.inputs)
    export_traced(traced, path=out, wrt=_names(wrt) or user.wrt)
    typer.echo(f"written: {out}", err=True)


def _names(wrt: str) -> list[str] | None:
    return [name.strip() for name in wrt.split(",") if name.strip()] or None


def _deliver(text: str, out: Path | None) -> None:
    if out is None:
        typer.echo(text)
        return
    from allbps.files import write_text

    write_text(out, text if text.endswith("\n") else text + "\n")
    typer.echo(f"written: {out}", err=True)


def _width() -> int:
    return Console().width if sys.stdout.isatty() else 100


def run() -> int:
    """Run the command line and give its exit code; a user's mistake is a message and code 2.

    A training run that diverged or lost a worker has failed: a message, and code 1.
    """
    try:
        with _warnings_for_people():
            code: int | None = app(standalone_mode=False)
    except AllBPsError as error:
        from allbps.distributed.launching import leave_word

        _complain(str(error))
        leave_word(error)
        code = FAILED if isinstance(error, (DivergedError, WorkerError)) else MISUSE
    except typer.Exit as stop:
        code = stop.exit_code
    except typer.Abort:
        code = INTERRUPTED
    except OSError as error:
        _complain(f"the output cannot be written: {error.strerror}")
        code = MISUSE
    except Exception as error:
        code = _usage(error)
    return code or DONE


@contextmanager
def _warnings_for_people() -> Iterator[None]:
    """Our own warnings without the place in this file that Python quotes for programmers."""
    usual = warnings.formatwarning

    def written(message: Warning | str, category: type[Warning], *place: Any, **line: Any) -> str:
        if category.__module__.startswith("allbps."):
            return f"warning: {message}\n"
        return usual(message, category, *place, **line)

    warnings.formatwarning = written
    try:
        yield
    finally:
        warnings.formatwarning = usual


def _usage(error: Exception) -> int:
    """Show a wrong command line as click does; anything else is a bug and is raised."""
    show = getattr(error, "show", None)
    if show is None:
        raise error
    show()
    return MISUSE


def _complain(text: str) -> None:
    console = Console(stderr=True, highlight=False, soft_wrap=True)
    whole = Text.assemble(("error:", "bold red"), f" {text}")
    console.print(whole)  # at once: several workers may complain
