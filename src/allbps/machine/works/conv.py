"""Plain convolutions as tasks, on images kept as (N, H, W, C) and weights as (h, w, C, O).

One tiny image is done by plain loops, of one channel line by line (see :mod:`.lines`), 3×3 windows
over many channels by Winograd's algorithm, a few taps by a kernel of their own (see :mod:`.taps`),
many channels on few pixels as products with the weights where they lie (see :mod:`.deep`),
everything else directly.
"""

from __future__ import annotations

from allbps.machine.kernels import conv as kernels
from allbps.machine.kernels import small, winograd
from allbps.machine.language.calls import Call
from allbps.machine.language.operands import HI, LO, Memory, Operand, Scratch
from allbps.machine.language.words import BIAS, RELU
from allbps.machine.planning.layout import Shape, image_layout, weight_layout
from allbps.machine.planning.plan import Work
from allbps.machine.works import deep, lines, taps
from allbps.machine.works.masks import Gate, gate_of, mask_of
from allbps.machine.works.places import Places
from allbps.machine.works.products import Product, Walk
from allbps.machine.works.tasks import ONCE, Cut, Partial, Place, Program, partial
from allbps.machine.works.window import PARTS, Window


def emit_conv(places: Places, work: Work) -> None:
    """J = I * K + b, ReLU."""
    program, (x, w) = places.program, work.inputs[:2]
    win = Window.of(x.shape, w.shape, work)
    if win.is_deep(program):
        deep.emit_forward(places, work, win, conv_label(work) + AS_PRODUCT)
        return
    image = places.as_layout(x, image_layout(x.shape)).memory
    weight = places.as_layout(w, weight_layout(w.shape)).memory
    bias = places.of(work.inputs[2]).memory if work.attrs.get("bias") else None
    out = places.put(work.outputs[0], image_layout(work.outputs[0].shape)).memory
    flags = BIAS * (bias is not None) + RELU * bool(work.attrs.get("relu"))
    blocks: dict[str, Operand] = {"J": out, "I": image, "K": weight}
    epilogue: dict[str, Operand] = {"bias": bias or out, "flags": flags}
    images: dict[str, Operand] = {"scratch": Scratch(win.padded), "lo": LO, "hi": HI}
    if lines.fits(win) and not flags:
        call = lines.forward(program, win, out.name).on(**blocks, lo=0, hi=1)
        _add(program, work, win, ONCE, call)
    elif win.small and not flags:
        _add(program, work, win, ONCE, small.small_conv_forward.on(**blocks, **win.taps))
    elif win.by_winograd(program):
        _by_winograd(program, work, win, out, image, weight, epilogue)
    elif taps.are_few(win.h * win.w * win.C, win.C, win.O):
        kernel = taps.written_for(program, win, flags, out.name)
        call = kernel.on(**blocks, bias=bias or out, **images)
        _add(program, work, win, win.images, call)
    elif win.is_pixel:
        _product(
            program, work, win, image, weight, out, bias, relu=bool(work.attrs.get("relu"))
        ).emit()
    else:
        call = kernels.conv_forward.on(**blocks, **epilogue, **win.sizes, **images)
        _add(program, work, win, win.images, call)


def _product(
    program: Program, work: Work, win: Window, pixels: Memory, weight: Memory, out: Memory,
    bias: Memory | None = None, mask: Memory | None = None, *, relu: bool = False,
) -> Product:  # fmt: skip
    """Pixels times weights: (N·H·W, C) · (C, O)."""
    walk = Walk(pixels, win.C, 1, weight, win.O, 1, win.N * win.H * win.W, win.O, win.C)
    return walk.product(program, work, conv_label(work) + AS_PRODUCT, out, bias, mask, relu=relu)


AS_PRODUCT = ", as one product"


def _by_winograd(
    program: Program, work: Work, win: Window, out: Memory, image: Memory, weight: Memory,
    epilogue: dict[str, Operand], gate: Gate | None = None,
) -> None:  # fmt: skip
    """Weights in Winograd's form, then tiles of the result."""
    points = program.memory(
        f"{weight.name}_points", winograd.POINTS * winograd.points_apart(win.C, win.O)
    )
    size = win.C * win.O
    program.add(
        f"{weight.name} in Winograd's form", Cut(win.C, max(1, min(16, win.C))),
        winograd.winograd_weights.on(U=points, K=weight, C=win.C, O=win.O, lo=LO, hi=HI),
        flops=size * 100, traffic=size * 45,
    )  # fmt: skip
    call = winograd.winograd_forward.on(
        J=out, I=image, U=points, **epilogue, scratch=_room(win), **win.channels, p=win.p,
        lo=LO * win.tiles, hi=HI * win.tiles,
    )  # fmt: skip
    masked = [gate.on(out)] if gate is not None else []
    _add(program, work, win, win.tiled, call, *masked, way=WINOGRAD)


WINOGRAD = ", by Winograd"


def _room(win: Window) -> Scratch:
    return Scratch(winograd.scratch_size(win.C, win.O))


def _add(program: Program, work: Work, win: Window, cut: Cut, *calls: Call, way: str = "") -> None:
    flops = 2 * (win.winograd_products if way else win.products)
    program.add(conv_label(work) + way, cut, *calls, flops=flops, work=work)


def conv_label(work: Work) -> str:
    """What a convolution does, for people."""
    names = [value.name or "…" for value in work.inputs]
    out = work.outputs[0].name or "…"
    if work.kind == "conv2d_x":
        text = f"{out} = pad({names[0]}) * flip({names[1]})"
        return text + (f" where {names[2]} > 0" if work.attrs.get("mask") else "")
    text = f"{out} = {names[1]} * {names[0]}" if work.kind == "conv2d_w" else (
        f"{out} = {names[0]} * {names[1]}"
    )  # fmt: skip
    text += f" + {names[2]}" if work.attrs.get("bias") else ""
    return text + (", ReLU" if work.attrs.get("relu") else "")


# -- δI --------------------------------------------------------------------------------------------
def emit_conv_input(places: Places, work: Work) -> None:
    """δI = pad(δJ) * flip(K), through a ReLU if asked."""
    program, (g, w) = places.program, work.inputs[:2]
    shape: Shape = work.attrs["shape"]
    win = Window.of(shape, w.shape, work)
    if win.is_deep(program):
        deep.emit_input(places, work, win, conv_label(work) + AS_PRODUCT)
        return
    delta = places.as_layout(g, image_layout(g.shape)).memory
    weight = places.as_layout(w, weight_layout(w.shape)).memory
    made = places.put(work.outputs[0], image_layout(shape))
    gate, out = gate_of(places, work, made, win.N), made.memory
    if win.small:
        call = small.small_conv_input.on(D=out, G=delta, K=weight, **win.taps)
        _add(program, work, win, ONCE, call, *([gate.on(out, 0, 1)] if gate is not None else []))
        return
    flipped = _flipped(program, weight, win)
    if win.by_winograd(program):
        back, plain = win.backwards(), dict[str, Operand](bias=out, flags=0)
        _by_winograd(program, work, back, out, delta, flipped, plain, gate)
        return
    if win.is_pixel:
        _product(
            program, work, win.backwards(), delta, flipped, out, mask=mask_of(places, work, made)
        ).emit()
        return
    call = kernels.conv_input.on(D=out, G=delta, F=flipped, **win.sizes, lo=LO, hi=HI)
    _add(program, work, win, win.images, call, *([gate.on(out)] if gate is not None else []))


def _flipped(program: Program, weight: Memory, win: Window) -> Memory:
    """A task that turns weights round, outputs before inputs."""
    flipped = program.memory(f"{weight.name}_flipped", win.h * win.w * win.C * win.O)
    call = kernels.flip_weights.on(
        F=flipped, K=weight, C=win.C, O=win.O, h=win.h, w=win.w, s=win.s, lo=LO, hi=HI
    )
    cut = Cut.of(win.C, win.h * win.w * win.O * 4, block=16)
    program.add(f"flip({weight.name})", cut, call, traffic=2 * weight.size)
    return flipped


# -- δK --------------------------------------------------------------------------------------------
def emit_conv_weights(places: Places, work: Work) -> None:
    """δK = I * δJ, in partial results over images."""
    program, (g, x) = places.program, work.inputs
    shape: Shape = work.attrs["shape"]
    win = Window.of(x.shape, shape, work)
    if win.is_deep(program):
        deep.emit_weights(places, work, win, conv_label(work) + AS_PRODUCT)
        return
    delta = places.as_layout(g, image_layout(g.shape)).memory
    image = places.as_layout(x, image_layout(x.shape)).memory
    out = places.put(work.outputs[0], weight_layout(shape))
    if lines.fits(win):
        kernel = lines.weights(program, win, out.memory.name)
        _add(program, work, win, ONCE, kernel.on(D=out.memory, G=delta, I=image, lo=0, hi=1))
        return
    if win.small:
        call = small.small_conv_weights.on(D=out.memory, G=delta, I=image, **win.taps)
        _add(program, work, win, ONCE, call)
        return
    if win.is_pixel:
        walk = Walk(image, 1, win.C, delta, win.O, 1, win.C, win.O, win.N * win.H * win.W)
        walk.product(program, work, conv_label(work) + AS_PRODUCT, out.memory).emit()
        return
    winograd_pays = win.by_winograd(program)
    cut, parts = partial_over_images(program, out, win.N, win.parts if winograd_pays else PARTS)
    if winograd_pays:
        room = _room(win)
        points = Scratch(winograd.POINTS * winograd.points_apart(win.C, win.O), room.size)
        calls = (
            winograd.winograd_delta.on(
                D=points, G=delta, I=image, flags=0, scratch=room, **win.channels, p=win.p,
                lo=LO * win.tiles, hi=HI * win.tiles,
            ),
            winograd.winograd_weights_delta.on(
                D=parts.own, U=points, C=win.C, O=win.O, lo=0, hi=win.C
            ),
        )  # fmt: skip
        _add(program, work, win, cut, *calls, way=WINOGRAD)
    else:
        call = kernels.conv_weights.on(
            D=parts.own, G=delta, I=image, scratch=Scratch(win.padded), flags=0, **win.sizes,
            lo=LO, hi=HI,
        )  # fmt: skip
        _add(program, work, win, cut, call)
    parts.combine(program, (out.memory, 0, out.layout.size))


def partial_over_images(
    program: Program, out: Place, images: int, parts: int = PARTS
) -> tuple[Cut, Partial]:
    """Images in pieces, and memory for a δK of each piece."""
    cut = Cut(images, max(1, min(parts, images)))
    return cut, partial(program, out.memory.name, out.layout.size, cut, out.memory)


KERNELS = {"conv2d": emit_conv, "conv2d_x": emit_conv_input, "conv2d_w": emit_conv_weights}
"""Kind of work -> what makes its tasks."""
