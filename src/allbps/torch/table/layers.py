"""Layers and losses, each whole: convolution, pooling, normalisation, attention, recurrence."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from allbps.torch.table.use import REDUCTIONS, NotWrittenError, Use, Writer, Writers, call, number

# -- convolution -----------------------------------------------------------------------------------
USUAL = {"stride": 1, "padding": 0, "output_padding": 0, "dilation": 1, "groups": 1}
"""What a convolution does where it is told nothing."""


def _told(use: Use, axes: int, words: str) -> list[str]:
    """The bias, and those of the options that are not the usual ones."""
    values = {name: _spatial(use[name], axes) for name in words.split()}
    bias = [] if use["bias"] is None else [f"bias={use.text('bias')}"]
    return bias + [f"{name}={x!r}" for name, x in values.items() if x != USUAL[name]]


def _spatial(value: Any, axes: int) -> Any:
    """One number where all are the same, else a tuple."""
    if isinstance(value, (list, tuple)):
        numbers = tuple(int(n) for n in value)
        numbers = numbers * axes if len(numbers) == 1 else numbers
        return numbers[0] if len(set(numbers)) == 1 else numbers
    return value


def _called(function: str, use: Use, options: list[str]) -> str:
    return f"{function}({', '.join([use.text('input'), use.text('weight'), *options])})"


def _conv(axes: int, *, turned: bool = False) -> Callable[[Use], str]:
    words = "stride padding dilation groups" + " output_padding" * turned
    function = f"F.conv_transpose{axes}d" if turned else f"F.conv{axes}d"
    return lambda use: _called(function, use, _told(use, axes, words))


def _convolution(use: Use) -> str:
    """Any convolution, as PyTorch takes one over three axes apart."""
    return _conv(len(use.shape("input")) - 2, turned=use["transposed"])(use)


# -- pooling ---------------------------------------------------------------------------------------
def _max_pool(axes: int) -> Writer:
    def write(use: Use) -> str:
        parts = [use.text("self"), repr(_spatial(use["kernel_size"], axes))]
        stride = use["stride"] or use["kernel_size"]
        parts.append(f"stride={_spatial(stride, axes)!r}")
        for name, usual in (("padding", 0), ("dilation", 1)):
            if _spatial(use[name], axes) != usual:
                parts.append(f"{name}={_spatial(use[name], axes)!r}")
        _same_windows(use, axes)
        return f"F.max_pool{axes}d({', '.join(parts)})"

    return write


def _same_windows(use: Use, axes: int) -> None:
    """Refuse ``ceil_mode`` where it makes a window more.

    Raises:
        NotWrittenError: it does.

    """
    if not use["ceil_mode"]:
        return
    sizes = use.shape("self")[-axes:]
    kernel, stride = (
        _each(use["kernel_size"], axes),
        _each(use["stride"] or use["kernel_size"], axes),
    )
    padding, dilation = _each(use["padding"], axes), _each(use.values.get("dilation", 1), axes)
    for n, k, s, p, d in zip(sizes, kernel, stride, padding, dilation, strict=True):
        if (n + 2 * p - d * (k - 1) - 1) % s:
            raise NotWrittenError("ceil_mode=True")


def _each(value: Any, axes: int) -> tuple[int, ...]:
    if isinstance(value, (list, tuple)):
        return tuple(value) if len(value) == axes else tuple(value) * axes
    return (value,) * axes


def _avg_pool2d(use: Use) -> str:
    _same_windows(use, 2)
    use.require("divisor_override", None)
    return _averages(use, 2, "F.avg_pool2d", use["count_include_pad"])


def _avg_pool1d(use: Use) -> str:
    _same_windows(use, 1)
    return _averages(use, 1, "parts.avg_pool1d", use["count_include_pad"])


def _averages(use: Use, axes: int, function: str, counted: bool) -> str:
    stride = use["stride"] or use["kernel_size"]
    parts = [use.text("self"), repr(_spatial(use["kernel_size"], axes))]
    parts.append(f"stride={_spatial(stride, axes)!r}")
    if _spatial(use["padding"], axes) != 0:
        parts.append(f"padding={_spatial(use['padding'], axes)!r}")
        parts += [] if counted else ["count_include_pad=False"]
    return f"{function}({', '.join(parts)})"


# -- normalisation ---------------------------------------------------------------------------------
def _batch_norm_in_training(use: Use) -> str:
    use.require("training", True)
    scale = f", weight={use.text('weight')}" if use["weight"] is not None else ""
    shift = f", bias={use.text('bias')}" if use["bias"] is not None else ""
    eps = f", eps={use['eps']}"
    return f"F.batch_norm({use.text('input')}{scale}{shift}, training=True{eps})"


def _running(which: str) -> Writer:
    def write(use: Use) -> str:
        x, momentum = use.text("input"), use["momentum"]
        axes = tuple(k for k in range(len(use.shape("input"))) if k != 1)
        old = use.text(f"running_{which}")
        new = (
            f"np.mean({x}, axis={axes})" if which == "mean" else f"np.var({x}, axis={axes}, ddof=1)"
        )
        return f"{number(1 - momentum)} * {old} + {number(momentum)} * {new}"

    return write


def _batch_norm(use: Use) -> str:
    if use.values.get("training"):
        return _batch_norm_in_training(use)
    words = "input running_mean running_var weight bias"
    given = ", ".join(use.text(name) for name in words.split())
    return f"F.batch_norm({given}, eps={use['eps']})"


def _group_norm(use: Use) -> str:
    given = [use.text("input"), use.text("num_groups"), use.text("weight"), use.text("bias")]
    return f"F.group_norm({', '.join(given)}, eps={use['eps']})"


def _instance_norm(use: Use) -> str:
    if use["running_mean"] is not None:
        raise NotWrittenError("running statistics (torch.export loses how they change)")
    channels = use.shape("input")[1]
    given = [use.text("input"), str(channels), use.text("weight"), use.text("bias")]
    return f"F.group_norm({', '.join(given)}, eps={use['eps']})"


def _layer_norm(use: Use) -> str:
    given = [use.text("input"), use.text("normalized_shape"), use.text("weight"), use.text("bias")]
    return f"F.layer_norm({', '.join(given)}, eps={use['eps']})"


def _rms_norm(use: Use) -> str:
    given = [use.text("input"), use.text("normalized_shape"), use.text("weight")]
    return f"F.rms_norm({', '.join(given)}, eps={use.text('eps')})"


# -- attention and recurrence ----------------------------------------------------------------------
def _attention(use: Use) -> str:
    plain = use["dropout_p"] == 0 and not use["enable_gqa"]
    given = [use.text("query"), use.text("key"), use.text("value")]
    if use["attn_mask"] is not None:
        given.append(f"attn_mask={use.text('attn_mask')}")
    if use["is_causal"]:
        given.append("is_causal=True")
    if use["scale"] is not None:
        given.append(f"scale={number(use['scale'])}")
    if plain and use["attn_mask"] is None:
        return f"F.scaled_dot_product_attention({', '.join(given)})"
    if use["dropout_p"]:
        given += [f"dropout_p={number(use['dropout_p'])}", "rng=rng"]
    if use["enable_gqa"]:
        given.append("enable_gqa=True")
    return f"parts.attention({', '.join(given)})"


def _recurrent(kind: str, *, packed: bool = False) -> Writer:
    """A recurrent layer; of ``packed`` sequences, which are padded, with a mask."""
    words = ("has_biases", "num_layers", "bidirectional", "batch_first")

    def write(use: Use) -> str:
        values = {**use.values, "batch_first": False} if packed else use.values
        options = [f"{name}={values[name]}" for name in words]
        if use["train"] and use["dropout"] and use["num_layers"] > 1:
            options += [f"dropout={number(use['dropout'])}", "rng=rng"]
        if not packed:
            given = [use.text("input"), use.text("hx"), use.text("params")]
        else:
            state = use["hx"] if kind == "lstm" else use["hx"][0]
            given = [use.text("x"), use.written(state), use.text("params")]
            options.append(f"mask={use.text('mask')}")
        return f"parts.{kind}({', '.join([*given, *options])})"

    return write


# -- embeddings and products of three -------------------------------------------------------------
def _bag(use: Use) -> str:
    options = [f"mode={('sum', 'mean', 'max')[use['mode']]!r}"]
    for name in ("per_sample_weights", "include_last_offset"):
        if use[name] is not None and use[name] is not False:
            options.append(f"{name}={use.text(name)}")
    if use["padding_idx"] not in (None, -1):
        options.append(f"padding_idx={use['padding_idx']}")
    given = [use.text(name) for name in ("indices", "weight", "offsets")]
    return f"F.embedding_bag({', '.join([*given, *options])})"


def _trilinear(use: Use) -> str:
    """The product of three arrays, axes inserted, summed over some: ``nn.Bilinear``."""
    factors = [f"np.expand_dims({use.text(f'i{k}')}, {use.text(f'expand{k}')})" for k in (1, 2, 3)]
    return f"np.sum({' * '.join(factors)}, axis={use.text('sumdim')})"


# -- other sizes -----------------------------------------------------------------------------------
def _upsampled_nearest(use: Use) -> str:
    given = (use.text("input"), use.out_shape[2:], use.text("scale_factors"))
    return "parts.upsample_nearest({}, {}, {})".format(*given)


def _upsampled_linear(use: Use) -> str:
    given = (use.text("input"), use.out_shape[2:], use["align_corners"], use.text("scale_factors"))
    return "parts.upsample_linear({}, {}, {}, {})".format(*given)


def _resized(mode: str) -> Writers:
    def write(use: Use) -> str:
        if use["scale_factors"] is not None:
            size = f"scale_factor={use.text('scale_factors')}"
        else:
            size = f"size={use.text('output_size')}"
        return (
            f"F.interpolate({use.text('input')}, {size}, mode={mode!r},"
            f" align_corners={use['align_corners']})"
        )

    return write


def _sampled(use: Use) -> str:
    mode = ("bilinear", "nearest", "bicubic")[use["interpolation_mode"]]
    border = ("zeros", "border", "reflection")[use["padding_mode"]]
    return (
        f"F.grid_sample({use.text('input')}, {use.text('grid')}, mode={mode!r},"
        f" padding_mode={border!r}, align_corners={use['align_corners']})"
    )


# -- losses ----------------------------------------------------------------------------------------
def _reduction(use: Use) -> str:
    word = REDUCTIONS[use["reduction"]]
    return "" if word == "mean" else f", reduction={word!r}"


def _labelled(function: str) -> Writer:
    def write(use: Use) -> str:
        weight = "" if use["weight"] is None else f", weight={use.text('weight')}"
        ignored = "" if use["ignore_index"] == -100 else f", ignore_index={use['ignore_index']}"
        smoothing = use.values.get("label_smoothing", 0.0)
        smooth = f", label_smoothing={number(smoothing)}" if smoothing else ""
        given = f"{use.text('self')}, {use.text('target')}"
        return f"{function}({given}{weight}{ignored}{smooth}{_reduction(use)})"

    return write


def _loss(function: str, *words: str) -> Writer:
    def write(use: Use) -> str:
        options = "".join(f", {name}={use.text(name)}" for name in words)
        given = f"{use.text('self')}, {use.text('target')}"
        return f"{function}({given}{options}{_reduction(use)})"

    return write


def _weighted_bce(function: str, *words: str) -> Writer:
    def write(use: Use) -> str:
        options = "".join(f", {n}={use.text(n)}" for n in words if use[n] is not None)
        given = f"{use.text('self')}, {use.text('target')}"
        room = "parts" if options else "F"
        return f"{room}.{function}({given}{options}{_reduction(use)})"

    return write


LAYERS: dict[str, Writers] = {
    "aten.conv1d.default": _conv(1),
    "aten.conv1d.padding": _conv(1),
    "aten.conv2d.default": _conv(2),
    "aten.conv2d.padding": _conv(2),
    "aten.conv_transpose1d.default": _conv(1, turned=True),
    "aten.conv_transpose2d.input": _conv(2, turned=True),
    "aten.max_pool1d.default": _max_pool(1),
    "aten.max_pool2d.default": _max_pool(2),
    "aten.avg_pool1d.default": _avg_pool1d,
    "aten.avg_pool2d.default": _avg_pool2d,
    "aten.adaptive_avg_pool1d.default": "parts.adaptive_avg_pool1d({self}, {output_size})",
    "aten.adaptive_avg_pool2d.default": call("F.adaptive_avg_pool2d", "self output_size"),
    "aten._native_batch_norm_legit_functional.default": (
        _batch_norm_in_training, None, None, _running("mean"), _running("var"),
    ),
    "aten._native_batch_norm_legit.no_stats": (_batch_norm_in_training, None, None),
    "aten._native_batch_norm_legit_no_training.default": (_batch_norm, None, None),
    "aten.batch_norm.default": _batch_norm,
    "aten.instance_norm.default": _instance_norm,
    "aten.group_norm.default": _group_norm,
    "aten.layer_norm.default": _layer_norm,
    "aten.rms_norm.default": _rms_norm,
    "aten.scaled_dot_product_attention.default": _attention,
    "aten.lstm.input": _recurrent("lstm"),
    "aten.gru.input": _recurrent("gru"),
    "aten.rnn_tanh.input": _recurrent("rnn_tanh"),
    "aten.rnn_relu.input": _recurrent("rnn_relu"),
    "allbps.packed_lstm.default": _recurrent("lstm", packed=True),
    "allbps.packed_gru.default": _recurrent("gru", packed=True),
    "allbps.packed_rnn_tanh.default": _recurrent("rnn_tanh", packed=True),
    "allbps.packed_rnn_relu.default": _recurrent("rnn_relu", packed=True),
    "allbps.padded.default": "parts.padded({x}, {mask}, {length}, exact={exact})",
    "aten.upsample_nearest1d.vec": _upsampled_nearest,
    "aten.upsample_nearest2d.vec": _upsampled_nearest,
    "aten.upsample_linear1d.vec": _upsampled_linear,
    "aten.upsample_bilinear2d.vec": _upsampled_linear,
    "aten.cross_entropy_loss.default": _labelled("F.cross_entropy"),
    "aten.nll_loss_nd.default": _labelled("F.nll_loss"),
    "aten.nll_loss.default": _labelled("F.nll_loss"),
    "aten.nll_loss2d.default": _labelled("F.nll_loss"),
    "aten.mse_loss.default": _loss("F.mse_loss"),
    "aten.l1_loss.default": _loss("F.l1_loss"),
    "aten.smooth_l1_loss.default": _loss("F.smooth_l1_loss", "beta"),
    "aten.huber_loss.default": _loss("F.huber_loss", "delta"),
    "aten.kl_div.default": _loss("F.kl_div", "log_target"),
    "aten.binary_cross_entropy.default": _weighted_bce("binary_cross_entropy", "weight"),
    "aten.binary_cross_entropy_with_logits.default": _weighted_bce(
        "binary_cross_entropy_with_logits", "weight", "pos_weight"
    ),
    "aten.convolution.default": _convolution,
    "aten._trilinear.default": _trilinear,
    "aten.embedding_bag.padding_idx": (_bag, None, None, None),
    "aten.embedding_bag.default": (_bag, None, None, None),
    "aten._embedding_bag.default": (_bag, None, None, None),
    "aten._embedding_bag_forward_only.default": (_bag, None, None, None),
    "aten.upsample_bicubic2d.vec": _resized("bicubic"),
    "aten.upsample_trilinear3d.vec": _resized("trilinear"),
    "aten.grid_sampler.default": _sampled,
    "aten.grid_sampler_2d.default": _sampled,
    "aten.grid_sampler_3d.default": _sampled,
}  # fmt: skip
