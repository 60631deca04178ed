"""What the user chooses about a training run."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from allbps import nn, optim
from allbps.data import Decoding
from allbps.data.augment import Augmentation, augmentation
from allbps.errors import ArgumentError, unknown_name
from allbps.optim import (
    CosineAnnealingLR,
    ExponentialLR,
    LinearWarmup,
    OneCycleLR,
    Optimizer,
    Schedule,
    StepLR,
    require,
)

OPTIMISERS: dict[str, type[Optimizer]] = {
    name.lower(): kind
    for name, kind in vars(optim).items()
    if isinstance(kind, type)
    and issubclass(kind, Optimizer)
    and kind is not Optimizer
    and kind.any_shape
}
"""Every optimiser of ``allbps.optim`` that moves biases too, by its name in lower case."""
SCHEDULES: dict[str, Callable[[TrainOptions, int], float | Schedule]] = {
    "constant": lambda run, steps: run.highest_rate,
    "step": lambda run, steps: StepLR(run.highest_rate, step_size=run.step_epochs * steps),
    "cosine": lambda run, steps: CosineAnnealingLR(run.highest_rate, T_max=run.epochs * steps),
    "onecycle": lambda run, steps: OneCycleLR(run.highest_rate, total_steps=run.epochs * steps),
    "exponential": lambda run, steps: ExponentialLR(
        run.highest_rate, gamma=0.01 ** (1 / (run.epochs * steps))
    ),
}
"""Name -> the rate over a run, given the steps of an epoch."""
FREE = frozenset({"data", "epochs", "init", "out", "resume", "stream", "threads", "timeout"})
"""What may differ when a run is taken up again; data are compared by their contents, and the
checkpoint has what ``init`` gave."""


@dataclass(frozen=True)
class TrainOptions:
    """A training run; its fields are the options of ``allbps train``.

    Attributes:
        data: ``digits`` or a path, see ``allbps.data.load``.
        model: a named net.
        epochs: how often every example is visited.
        batch_size: examples a step; 1 is one random example a step, as on the slide.
        lr: learning rate, the highest one where a schedule changes it; None takes the net's own for
            ``sgd``, PyTorch's default for the others.
        optimizer: a class of ``allbps.optim`` in lower case, ``sgd`` or ``adam`` for example; None
            takes the net's own.
        momentum: for those that have it, ``sgd`` for example.
        nesterov: Nesterov's momentum, for ``sgd`` and ``sgdw``.
        weight_decay: pull of the parameters to 0.
        schedule: ``constant``; ``step``, a tenth after every ``step_epochs``; ``cosine``, to 0;
            ``onecycle``, up and far down; ``exponential``, to a hundredth.
        step_epochs: see ``schedule``.
        warmup: epochs over which the rate rises linearly from a third.
        clip: gradients longer than this are shortened to it; None leaves them.
        seed: of the split, the initial parameters and the order of the examples.
        held_out: share of the images held out to judge the result, where the data hold out none.
        validation: share of the training images that decides when to stop; 0.1 with ``patience``.
        patience: stop after so many epochs without a better validation loss; None never stops.
        resize: ``HEIGHTxWIDTH`` for folders of images of different sizes.
        grayscale: read folders of images with one channel.
        alpha: ``white`` lays transparent images on white, ``channel`` keeps alpha as a channel.
        white: the number that is white, where the kind of number does not say it.
        stream: read images while they are learnt; None does so where they would take much memory.
        augment: how training images are changed from epoch to epoch, as ``shift=2,flip``.
        normalise: take the mean of the training images off each channel, and divide by its spread.
        context: characters that a net for text reads at once.
        engine: what computes: ``machine``, compiled code, or ``numpy``.
        threads: of the machine; None takes as many as pay. No bit depends on it.
        parts: cut each mini-batch into so many parts, which workers share; the bits depend on this
            number and not on that of the workers. None cuts into 8 where torchrun starts workers.
        init: a ``.safetensors`` file with the parameters to begin with; None draws them.
        timeout: seconds after which a worker that does not come or answer counts as lost.
        out: folder for the results.
        resume: go on from the checkpoint in ``out``.

    """

    data: str = "digits"
    model: str = "lecture"
    epochs: int = 30
    batch_size: int = 16
    lr: float | None = None
    optimizer: str | None = None
    momentum: float = 0.0
    nesterov: bool = False
    weight_decay: float = 0.0
    schedule: str = "cosine"
    step_epochs: int = 10
    warmup: float = 0.0
    clip: float | None = None
    seed: int = 0
    held_out: float = 0.2
    validation: float = 0.0
    patience: int | None = None
    resize: str | None = None
    grayscale: bool = False
    alpha: str | None = None
    white: float | None = None
    stream: bool | None = None
    augment: str | None = None
    normalise: bool = False
    context: int = 128
    engine: str = "machine"
    threads: int | None = None
    parts: int | None = None
    init: str | None = None
    timeout: float = 300.0
    out: str = "train-output"
    resume: bool = False

    def __post_init__(self) -> None:
        if self.rule not in OPTIMISERS:
            raise unknown_name(self.rule, list(OPTIMISERS), "optimizer")
        if self.schedule not in SCHEDULES:
            raise unknown_name(self.schedule, list(SCHEDULES), "schedule")
        for name in ("epochs", "batch_size", "step_epochs", "context"):
            require(f"--{flag(name)}", getattr(self, name), at_least=1)
        for name in ("lr", "weight_decay", "momentum", "warmup", "seed", "clip"):
            require(f"--{flag(name)}", getattr(self, name) or 0, at_least=0)
        require("--validation", self.validation, at_least=0, below=1)
        require("--timeout", self.timeout, at_least=1)
        for name in ("patience", "threads", "parts"):
            if getattr(self, name) is not None:
                require(f"--{name}", getattr(self, name), at_least=1)
        self.decoding()
        self.augmentation()

    @property
    def rule(self) -> str:
        """The optimiser's name.

        Raises:
            NameUnknownError: there is no such net.

        """
        return self.optimizer or nn.named(self.model).optimizer

    @property
    def folder(self) -> Path:
        """Where the results go."""
        return Path(self.out)

    @property
    def validation_share(self) -> float:
        """Early stopping needs a validation set even where none was asked for."""
        return self.validation or (0.1 if self.patience else 0.0)

    def decoding(self) -> Decoding:
        """How image files are read.

        Raises:
            ArgumentError: ``resize`` is not two lengths.

        """
        return Decoding(self._size(), self.grayscale or None, self.alpha, self.white, self.stream)

    def augmentation(self) -> Augmentation | None:
        """How training images are changed, if they are.

        Raises:
            ArgumentError: ``augment`` is not understood.

        """
        return None if self.augment is None else augmentation(self.augment)

    def _size(self) -> tuple[int, int] | None:
        if self.resize is None:
            return None
        lengths = self.resize.lower().split("x")
        if len(lengths) != 2 or not all(n.isdecimal() and int(n) > 0 for n in lengths):
            raise ArgumentError(
                "--resize is not a size", expected="HEIGHTxWIDTH, as 28x28", got=self.resize
            )
        return int(lengths[0]), int(lengths[1])

    def optimiser(self, steps_per_epoch: int) -> Optimizer:
        """The optimiser with its schedule.

        Raises:
            ArgumentError: an argument does not suit this optimiser.

        """
        kind = OPTIMISERS[self.rule]
        extra: dict[str, Any] = {"weight_decay": self.weight_decay}
        for name in ("momentum", "nesterov"):
            if value := getattr(self, name):
                if name not in {field.name for field in fields(kind)}:
                    raise ArgumentError(f"--{name} does not go with --optimizer {self.rule}")
                extra[name] = value
        return kind(self._rate(steps_per_epoch), **extra)

    @property
    def highest_rate(self) -> float:
        """The learning rate before any schedule."""
        if self.lr is not None:
            return self.lr
        usual = OPTIMISERS[self.rule].usual_lr
        return nn.named(self.model).lr if usual is None else usual

    def _rate(self, steps_per_epoch: int) -> float | Schedule:
        rate = SCHEDULES[self.schedule](self, steps_per_epoch)
        steps = round(self.warmup * steps_per_epoch)
        return LinearWarmup(rate, total_iters=steps) if steps else rate

    def fixed(self) -> dict[str, Any]:
        """What a resumed run must repeat."""
        return {name: value for name, value in asdict(self).items() if name not in FREE}

    def command(self, **changed: Any) -> str:
        """The command line that starts this run, with some options changed.

        >>> TrainOptions(lr=0.3, nesterov=True, momentum=0.9).command(resume=True)
        'allbps train --lr 0.3 --momentum 0.9 --nesterov --resume'
        """
        words = ["allbps", "train"]
        for field in fields(self):
            value = changed.get(field.name, getattr(self, field.name))
            if value != field.default:
                words += [f"--{'' if value is not False else 'no-'}{flag(field.name)}"]
                words += [] if isinstance(value, bool) else [str(value)]
        return shlex.join(words)


def flag(name: str) -> str:
    """``batch_size`` as it stands on the command line: ``batch-size``."""
    return name.replace("_", "-")
