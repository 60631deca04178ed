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
        int, typer.Option(help="How often every example is visited.")
    ] = TrainOptions.epochs,
    batch_size: Annotated[
        int, typer.Option(help="Examples a step; 1 is one random example, as on the slide.")
    ] = TrainOptions.batch_size,
    lr: Annotated[
        float | None,
        typer.Option(help="Learning rate, the highest of the schedule; the net's own if left out."),
    ] = TrainOptions.lr,
    optimizer: Annotated[
        str | None, typer.Option(help=f"{_one_of(OPTIMISERS)}; the net's own if left out.")
    ] = TrainOptions.optimizer,
    momentum: Annotated[
        float, typer.Option(help="For an optimizer with momentum.")
    ] = TrainOptions.momentum,
    nesterov: Annotated[
        bool, typer.Option("--nesterov", help="Nesterov's momentum.")
    ] = TrainOptions.nesterov,
    weight_decay: Annotated[
        float, typer.Option(help="Pull of the parameters to 0.")
    ] = TrainOptions.weight_decay,
    schedule: Annotated[str, typer.Option(help=f"{_one_of(SCHEDULES)}.")] = TrainOptions.schedule,
    step_epochs: Annotated[
        int, typer.Option(help="With --schedule step: a tenth of the rate after so many epochs.")
    ] = TrainOptions.step_epochs,
    warmup: Annotated[
        float, typer.Option(help="Epochs over which the rate rises.")
    ] = TrainOptions.warmup,
    clip: Annotated[
        float | None, typer.Option(help="Shorten gradients that are longer than this.")
    ] = TrainOptions.clip,
    seed: Annotated[
        int, typer.Option(help="The same seed gives the same bits.")
    ] = TrainOptions.seed,
    held_out: Annotated[
        float, typer.Option(help="Share held out for the verdict, where the data hold out none.")
    ] = TrainOptions.held_out,
    validation: Annotated[
        float, typer.Option(help="Share of the training images that decides when to stop.")
    ] = TrainOptions.validation,
    patience: Annotated[
        int | None, typer.Option(help="Stop after so many epochs that are no better.")
    ] = TrainOptions.patience,
    resize: Annotated[
        str | None, typer.Option(metavar="HxW", help="Bring image files to one size, as 28x28.")
    ] = TrainOptions.resize,
    grayscale: Annotated[
        bool, typer.Option("--grayscale", help="Read image files with one channel.")
    ] = TrainOptions.grayscale,
    alpha: Annotated[
        str | None,
        typer.Option(
            metavar="white|channel", help="Transparent images: laid on white, or a channel more."
        ),
    ] = TrainOptions.alpha,
    white: Annotated[
        float | None, typer.Option(help="The number that is white, where the data do not say it.")
    ] = TrainOptions.white,
    stream: Annotated[
        bool | None,
        typer.Option(
            "--stream/--no-stream",
            help="Read images while they are learnt; if left out, where they take much memory.",
        ),
    ] = TrainOptions.stream,
    augment: Annotated[
        str | None,
        typer.Option(
            metavar="shift=2,flip,crop=4",
            help="Change training images by chance from epoch to epoch.",
        ),
    ] = TrainOptions.augment,
    normalise: Annotated[
        bool, typer.Option("--normalise", help="Mean 0 and spread 1 in each channel.")
    ] = TrainOptions.normalise,
    context: Annotated[
        int, typer.Option(help="Characters that a net for text reads at once.")
    ] = TrainOptions.context,
    engine: Annotated[
        str, typer.Option(help=f"What computes: {_one_of(ENGINES)}.")
    ] = TrainOptions.engine,
    threads: Annotated[
        int | None, typer.Option(help="Threads of the machine; as many as pay if left out.")
    ] = TrainOptions.threads,
    parts: Annotated[
        int | None,
        typer.Option(
            help="Cut each mini-batch into so many parts, which workers share: the same bits for"
            " any number of workers. 8 where torchrun starts them."
        ),
    ] = TrainOptions.parts,
    init: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE.safetensors",
            help="Parameters to begin with, under the net's names or PyTorch's with dots.",
        ),
    ] = None,
    timeout: Annotated[
        float, typer.Option(help="Seconds after which a silent worker counts as lost.")
    ] = TrainOptions.timeout,
    out: Annotated[Path, typer.Option(help="Folder for the results.")] = Path(TrainOptions.out),
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on from the checkpoint in --out.")
    ] = TrainOptions.resume,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the summary for a program to read.")
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="Show no progress.")] = False,
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
    if report.interrupted:
        raise typer.Exit(INTERRUPTED)
