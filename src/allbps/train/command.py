"""``allbps train``: arguments only."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

import typer

from allbps.distributed import Workers, joined
from allbps.errors import DivergedError
from allbps.exits import INTERRUPTED
from allbps.nn import MODELS
from allbps.train.engines import ENGINES
from allbps.train.options import OPTIMISERS, SCHEDULES, TrainOptions
from allbps.train.run import run


def _one_of(names: Iterable[str]) -> str:
    """``sgd, adam or rmsprop``."""
    *others, last = names
    return f"{', '.join(others)} or {last}"


def train(
    data: Annotated[
        str,
        typer.Option(
            metavar="digits|PATH",
            help="An .npz archive, IDX files (MNIST), a folder with a folder for each class; for"
            " gpt, a text file.",
        ),
    ] = TrainOptions.data,
    model: Annotated[str, typer.Option(help=f"The net: {_one_of(MODELS)}.")] = TrainOptions.model,
    epochs: Annotated[
        int, typer.Option(help="How many times every example is visited.")
    ] = TrainOptions.epochs,
    batch_size: Annotated[
        int, typer.Option(help="Examples per step; 1 is one random example, as on the slide.")
    ] = TrainOptions.batch_size,
    lr: Annotated[
        float | None,
        typer.Option(help="Learning rate, the peak of the schedule; the net's own by default."),
    ] = TrainOptions.lr,
    optimizer: Annotated[
        str | None, typer.Option(help=f"{_one_of(OPTIMISERS)}; the net's own by default.")
    ] = TrainOptions.optimizer,
    momentum: Annotated[
        float, typer.Option(help="Momentum, for an optimizer that has it.")
    ] = TrainOptions.momentum,
    nesterov: Annotated[
        bool, typer.Option("--nesterov", help="Nesterov's momentum.")
    ] = TrainOptions.nesterov,
    weight_decay: Annotated[
        float, typer.Option(help="Weight decay: how strongly parameters are pulled towards 0.")
    ] = TrainOptions.weight_decay,
    schedule: Annotated[str, typer.Option(help=f"{_one_of(SCHEDULES)}.")] = TrainOptions.schedule,
    step_epochs: Annotated[
        int,
        typer.Option(
            help="With --schedule step: the rate drops to a tenth after this many epochs."
        ),
    ] = TrainOptions.step_epochs,
    warmup: Annotated[
        float, typer.Option(help="Epochs over which the rate rises.")
    ] = TrainOptions.warmup,
    clip: Annotated[
        float | None, typer.Option(help="Clip gradients whose norm is larger than this.")
    ] = TrainOptions.clip,
    seed: Annotated[
        int, typer.Option(help="The same seed gives the same bits.")
    ] = TrainOptions.seed,
    held_out: Annotated[
        float,
        typer.Option(
            help="Fraction held out for the final accuracy, where the data hold out none."
        ),
    ] = TrainOptions.held_out,
    validation: Annotated[
        float, typer.Option(help="Fraction of the training images that decides when to stop.")
    ] = TrainOptions.validation,
    patience: Annotated[
        int | None, typer.Option(help="Stop after this many epochs without improvement.")
    ] = TrainOptions.patience,
    resize: Annotated[
        str | None,
        typer.Option(metavar="HxW", help="Resize image files to one size, such as 28x28."),
    ] = TrainOptions.resize,
    grayscale: Annotated[
        bool, typer.Option("--grayscale", help="Read image files as grayscale.")
    ] = TrainOptions.grayscale,
    alpha: Annotated[
        str | None,
        typer.Option(
            metavar="white|channel",
            help="Transparent images: placed on white, or with alpha as one more channel.",
        ),
    ] = TrainOptions.alpha,
    white: Annotated[
        float | None, typer.Option(help="The number that means white, where the data do not say.")
    ] = TrainOptions.white,
    stream: Annotated[
        bool | None,
        typer.Option(
            "--stream/--no-stream",
            help="Read images during training; by default only where they would take much memory.",
        ),
    ] = TrainOptions.stream,
    augment: Annotated[
        str | None,
        typer.Option(
            metavar="shift=2,flip,crop=4",
            help="Vary training images at random from epoch to epoch.",
        ),
    ] = TrainOptions.augment,
    normalise: Annotated[
        bool, typer.Option("--normalise", help="Give each channel mean 0 and standard deviation 1.")
    ] = TrainOptions.normalise,
    context: Annotated[
        int, typer.Option(help="Characters that a net for text sees at once.")
    ] = TrainOptions.context,
    engine: Annotated[
        str, typer.Option(help=f"What does the computing: {_one_of(ENGINES)}.")
    ] = TrainOptions.engine,
    threads: Annotated[
        int | None, typer.Option(help="Threads of the machine; by default as many as pay off.")
    ] = TrainOptions.threads,
    parts: Annotated[
        int | None,
        typer.Option(
            help="Cut each mini-batch into this many parts, which the workers share: the same bits"
            " for any number of workers. 8 where torchrun starts them."
        ),
    ] = TrainOptions.parts,
    init: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE.safetensors",
            help="Parameters to start from, under the net's names or PyTorch's with dots.",
        ),
    ] = None,
    timeout: Annotated[
        float, typer.Option(help="Seconds after which a silent worker counts as lost.")
    ] = TrainOptions.timeout,
    out: Annotated[Path, typer.Option(help="Folder for the results.")] = Path(TrainOptions.out),
    resume: Annotated[
        bool, typer.Option("--resume", help="Continue from the checkpoint in --out.")
    ] = TrainOptions.resume,
    as_json: Annotated[bool, typer.Option("--json", help="Print the summary as JSON.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="Do not show progress.")] = False,
) -> None:
    """Train a net on images or text: random examples, forward, loss, backward, K ← K − lr δK."""
    options = TrainOptions(
        data=data, model=model, epochs=epochs, batch_size=batch_size, lr=lr, optimizer=optimizer,
        momentum=momentum, nesterov=nesterov, weight_decay=weight_decay, schedule=schedule,
        step_epochs=step_epochs, warmup=warmup, clip=clip, seed=seed, held_out=held_out,
        validation=validation, patience=patience, resize=resize, grayscale=grayscale,
        alpha=alpha, white=white, stream=stream, augment=augment, normalise=normalise,
        context=context, engine=engine, threads=threads, parts=parts, timeout=timeout, out=str(out),
        init=None if init is None else str(init), resume=resume,
    )  # fmt: skip
    workers = joined(options.timeout) or Workers.alone()
    try:
        report = run(options, quiet=quiet, workers=workers)
    except DivergedError as error:
        if as_json and workers.leads:
            typer.echo(json.dumps({"diverged": error.what, "got": error.got, "todo": error.todo}))
        raise
    workers.leave()
    if workers.leads:
        typer.echo(json.dumps(report.to_json(), indent=2) if as_json else str(report))
    elif report.interrupted:
        typer.echo(f"worker {workers.rank}: {report.note}", err=True)
    if report.interrupted:
        raise typer.Exit(INTERRUPTED)
