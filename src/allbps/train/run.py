"""A whole training run: load, split, train, judge, write."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np

from allbps import nn
from allbps.data import Dataset, Decoding, Examples, Streamed, load_text, read, split
from allbps.data.stream import as_streamed
from allbps.distributed import Workers
from allbps.errors import ArgumentError, UserFileError, WorkerError
from allbps.files import write_text
from allbps.train.checkpoint import save_checkpoint
from allbps.train.curve import draw_curve
from allbps.train.engine import Score, State, Task
from allbps.train.engines import make_engine
from allbps.train.figures import check_drawing
from allbps.train.kernels import as_kernels, draw_kernels
from allbps.train.loop import Course, Stop, diverged, finished, train
from allbps.train.moment import Moment, best_epoch
from allbps.train.options import TrainOptions
from allbps.train.progress import Watch, watching
from allbps.train.report import Report
from allbps.train.together import facts, resumed
from allbps.train.weights import initial, save_weights

# streams of random numbers under one seed; allbps.data.batches has the third
SPLIT_STREAM, INIT_STREAM, VALIDATION_STREAM = 0, 1, 3
USUAL_PARTS = 8
"""Into how many parts a mini-batch is cut where torchrun starts workers."""
SAVE_EVERY = 30.0
"""Seconds between checkpoints inside a long epoch."""


@dataclass(frozen=True, eq=False)
class Parts:
    """The examples of a run: learnt from, deciding when to stop, and held out."""

    train: Examples
    validation: Examples | None
    test: Examples


def run(options: TrainOptions, *, quiet: bool = True, workers: Workers | None = None) -> Report:
    """Train as ``options`` say and write the results into ``options.out``.

    The same options and data give the same bits in every file but report.json, which holds times.

    Args:
        options: what to do.
        quiet: show no progress.
        workers: those who train together, see ``allbps.distributed.joined``; the first one writes.

    Raises:
        UserFileError: the data, the checkpoint or the folder for results cannot be used; the data
            changed meanwhile, and what was reached is in the checkpoint.
        ArgumentError: options that do not go together, or not with the checkpoint.
        MissingExtraError: a library of the extra ``train`` is not installed.
        DivergedError: the loss became NaN or infinite; nothing is saved as learnt.
        WorkerError: another worker is gone; what was reached is in the checkpoint.

    """
    check_drawing()
    workers = workers or Workers.alone()
    if workers.exchange is not None and options.parts is None:
        options = replace(options, parts=USUAL_PARTS)
    dataset, parts = workers.each(lambda: _examples(options))
    if workers.exchange is not None:
        workers.agree(**facts(options, dataset.fingerprint))
    course = _course(parts, options, workers)
    start = _start(course)
    path = options.folder / "checkpoint.safetensors"
    if options.resume:
        start = resumed(path, start, options, dataset.fingerprint, workers)
        course.task.draws.expect(start.drawn)

    def save(moment: Moment) -> None:
        if not workers.leads:
            return
        save_checkpoint(path, moment, options, dataset.fingerprint)
        write_text(options.folder / "log.jsonl", _log(moment))

    # a folder that cannot be written is better known now, and to all, than after an hour
    workers.each(lambda: save(start))
    stop, silent = Stop(workers), quiet or not workers.leads
    with watching(len(parts.train), options.epochs, silent) as watch, stop.on_interrupt():
        watch.begin(start)
        see = _Saving(start, watch, save)
        try:
            moment = train(course, start, stop=stop, watch=see, save=save)
        except (WorkerError, UserFileError) as error:
            save(see.moment)
            if isinstance(error, WorkerError):
                error.todo = _how_to_go_on(path, workers)
            raise
        finally:
            course.task.feed.close()
    save(moment)
    interrupted = not finished(options, moment)
    return _conclude(dataset, parts, course, moment, watch, interrupted)


def _how_to_go_on(path: Path, workers: Workers) -> str:
    """What to do when a worker has been lost while all were training."""
    if workers.leads:
        return f"go on from {path} with --resume, with any number of workers"
    return "go on from the checkpoint that worker 0 wrote with --resume, with any number of workers"


def _examples(options: TrainOptions) -> tuple[Dataset, Parts]:
    """The data, and the examples for each purpose."""
    dataset = _dataset(options)
    parts = _parts(dataset, options)
    return dataset, _changed(parts, options) if options.normalise or options.augment else parts


def _dataset(options: TrainOptions) -> Dataset:
    """Images, or a text for a net that reads text."""
    if nn.named(options.model).reads != "text":
        return read(options.data, options.decoding())
    if options.data == TrainOptions.data:
        raise ArgumentError(
            f"the net {options.model} reads text",
            expected="--data FILE.txt, UTF-8 text",
            got=f"--data {options.data}, which are images",
        )
    if options.decoding() != Decoding() or options.augment or options.normalise:
        raise ArgumentError(
            "--resize, --grayscale, --alpha, --white, --stream, --augment and --normalise are for"
            " images",
            got=f"the net {options.model}, which reads text",
            todo="leave them out",
        )
    return load_text(options.data, options.context)


def _parts(dataset: Dataset, options: TrainOptions) -> Parts:
    train_images, test = dataset.train, dataset.test
    if test is None:
        rng = np.random.default_rng([options.seed, SPLIT_STREAM])
        train_images, test = split(train_images, options.held_out, rng)
    if dataset.validation is not None or not options.validation_share:
        return Parts(train_images, dataset.validation, test)
    rng = np.random.default_rng([options.seed, VALIDATION_STREAM])
    train_images, validation = split(train_images, options.validation_share, rng)
    return Parts(train_images, validation, test)


def _changed(parts: Parts, options: TrainOptions) -> Parts:
    """The examples as they are augmented and normalised; all parts alike, but for chance."""
    train_images = as_streamed(parts.train)
    mean, spread = train_images.mean_and_spread() if options.normalise else (None, None)

    def changed(images: Examples) -> Streamed:
        found = as_streamed(images).changed(options.augmentation())
        return found if mean is None or spread is None else found.normalised(mean, spread)

    validation = None if parts.validation is None else changed(parts.validation)
    return Parts(changed(parts.train), validation, changed(parts.test))


def _course(parts: Parts, options: TrainOptions, workers: Workers) -> Course:
    steps = -(-len(parts.train) // options.batch_size)
    model, optimiser = nn.named(options.model), options.optimiser(steps)
    task = Task(model, parts.train, optimiser, options.clip, options.threads, options.seed, workers)
    engine = make_engine(options.engine, task, options.parts, options.batch_size)
    return Course(options, task, engine, parts.validation or parts.test)


def _start(course: Course) -> Moment:
    """Initialize K."""
    images = course.task.images
    rng = np.random.default_rng([course.options.seed, INIT_STREAM])
    params = course.task.model.init(rng, images.shape, len(images.classes))
    if course.options.init is not None and not course.options.resume:
        params = initial(course.options.init, params)
    learnt = course.task.model.learnt(params)
    return Moment(State(params, course.task.optimiser.init(learnt)))


class _Saving:
    """Watches, and saves from time to time.

    Attributes:
        moment: the last one that was seen.

    """

    def __init__(self, start: Moment, watch: Watch, save: Callable[[Moment], None]) -> None:
        self.moment, self._watch, self._save = start, watch, save
        self._saved = time.monotonic()

    def __call__(self, moment: Moment) -> None:
        self.moment = moment
        self._watch.see(moment)
        if time.monotonic() - self._saved > SAVE_EVERY:
            self._save(moment)
            self._saved = time.monotonic()


def _log(moment: Moment) -> str:
    return "".join(json.dumps(asdict(row), allow_nan=False) + "\n" for row in moment.history)


def _conclude(
    dataset: Dataset, parts: Parts, course: Course, moment: Moment, watch: Watch, interrupted: bool
) -> Report:
    options = course.options
    params = moment.best or moment.state.params
    test = None if interrupted else course.engine.evaluate(params, parts.test)
    if test is not None and not math.isfinite(test.loss):
        raise diverged(course, moment, f"the held-out loss became {test.loss}", "the loss itself")
    report = Report(
        model=options.model,
        data=dataset.name,
        engine=options.engine,
        examples=_counts(parts),
        classes=parts.train.classes,
        parameters=sum(array.size for array in params.values()),
        epochs=moment.epoch,
        steps=int(moment.state.optimiser["step"]),
        loss=moment.history[-1].loss if moment.history else None,
        held_out=test,
        seconds=watch.seconds,
        examples_per_second=watch.rate,
        note=_note(options, moment, interrupted),
        remarks=tuple(_remarks(dataset, course, watch)),
        files=_write(course, parts, moment, params, test) if course.task.workers.leads else {},
        go_on=options.command(resume=True),
        interrupted=interrupted,
    )
    if not course.task.workers.leads:
        return report
    write_text(
        options.folder / "report.json",
        json.dumps(report.to_json(), indent=2, allow_nan=False) + "\n",
    )
    return report


def _remarks(dataset: Dataset, course: Course, watch: Watch) -> Iterator[str]:
    yield from (note.text for note in dataset.notes)
    images = course.task.images
    if not isinstance(images, Streamed):
        return
    if images.mean is not None and images.spread is not None:
        mean, spread = (
            " ".join(f"{n:.4g}" for n in a.ravel()) for a in (images.mean, images.spread)
        )
        yield f"normalised: mean {mean}, standard deviation {spread}"
    if watch.seconds:
        yield f"steps waited {course.task.feed.waited / watch.seconds:.1%} of the time for images"


def _counts(parts: Parts) -> dict[str, int]:
    kind = "images" if len(parts.train.shape) == 3 else "windows of text"
    return {
        f"training {kind}": len(parts.train),
        "for validation": len(parts.validation) if parts.validation else 0,
        "held out": len(parts.test),
    }


def _note(options: TrainOptions, moment: Moment, interrupted: bool) -> str:
    if interrupted:
        return f"interrupted in epoch {moment.epoch + 1} of {options.epochs}; nothing is lost"
    if moment.best is None:
        return ""
    best = best_epoch(moment.history)
    stopped = f"stopped after {options.patience} epochs without improvement; "
    return (stopped if moment.epoch < options.epochs else "") + f"kept the weights of epoch {best}"


def _write(
    course: Course, parts: Parts, moment: Moment, params: nn.Params, test: Score | None
) -> dict[str, str]:
    """Write the results; file -> what it holds."""
    options, images, model = course.options, parts.train, course.task.model
    folder = options.folder
    files = {
        "weights.safetensors": "the learned parameters",
        "checkpoint.safetensors": "what --resume continues from",
        "log.jsonl": "loss and accuracy of every epoch",
        "step.py": "the forward and backward pass of a step, as it ran",
        "report.json": "this summary",
    }
    save_weights(
        folder / "weights.safetensors", model, params, images.shape, images.classes, options.seed
    )
    write_text(folder / "step.py", course.engine.source(options.batch_size))
    if test is not None:
        _draw(course, parts, moment, params, test)
        files["curve.png, .svg"] = "loss and accuracy over the epochs"
        if model.pictured:
            files["kernels.png, .svg"] = f"the learned {model.pictured} as pictures"
    return {str(Path(options.out) / name): what for name, what in files.items()}


def _draw(course: Course, parts: Parts, moment: Moment, params: nn.Params, test: Score) -> None:
    folder, model = course.options.folder, course.task.model
    title = f"{model.name} on {course.options.data}: held-out accuracy {test.accuracy:.1%}"
    held = "validation" if parts.validation else "held out"
    draw_curve(folder / "curve", title, moment.history, held)
    if not model.pictured:
        return
    kernels = as_kernels(params[model.pictured], parts.train.shape)
    height, width = kernels.shape[2:]
    draw_kernels(folder / "kernels", f"{model.pictured}: kernels of {height}×{width}", kernels)
