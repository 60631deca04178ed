"""The same numbers in another arrangement: views, joins, slices, and places by indices."""

from __future__ import annotations

from typing import Any

from torch.fx import Node

from allbps.torch.table.use import NotWrittenError, Use, Writers, number, shape_of


def _reshape(use: Use) -> str:
    (name,) = [n for n in ("self", "input") if n in use.values]
    return f"np.reshape({use.text(name)}, {use.out_shape})"


def _expand(use: Use) -> str:
    return f"np.broadcast_to({use.text('self')}, {use.out_shape})"


def _transposed(use: Use) -> str:
    return f"np.swapaxes({use.text('self')}, {use['dim0']}, {use['dim1']})"


def _t(use: Use) -> str:
    return f"{use.text('self')}.T" if len(use.shape("self")) == 2 else use.text("self")


def _slice(use: Use) -> str:
    dim = use["dim"] % len(use.shape("self"))
    end = use["end"]
    length = use.shape("self")[dim]
    end = None if end is None or end >= length else end
    start = use["start"] or None
    if start is None and end is None and use["step"] == 1:
        return use.text("self")
    return f"{use.text('self')}[{_ahead(dim)}{_part(start, end, use['step'])}]"


def _ahead(dim: int) -> str:
    return ":, " * dim


def _part(start: Any, end: Any, step: int) -> str:
    text = f"{'' if start is None else start}:{'' if end is None else end}"
    return text if step == 1 else f"{text}:{step}"


def _select(use: Use) -> str:
    dim = use["dim"] % len(use.shape("self"))
    return f"{use.text('self')}[{_ahead(dim)}{use['index']}]"


def _split(use: Use) -> str:
    dim = use["dim"] % len(use.shape("self"))
    lengths = [shape_of_value(part)[dim] for part in use.out]
    stops = [sum(lengths[: k + 1]) for k in range(len(lengths) - 1)]
    return f"np.split({use.text('self')}, {stops}, axis={dim})"


def shape_of_value(value: Any) -> tuple[int, ...]:
    """The shape of what stands for a result."""
    return tuple(map(int, value.shape))


def _unbind(use: Use) -> str:
    dim = use["dim"] % len(use.shape("self"))
    parts = [f"{use.text('self')}[{_ahead(dim)}{k}]" for k in range(use.shape("self")[dim])]
    return f"({', '.join(parts)},)"


def _cat(use: Use) -> str:
    parts = [x for x in use["tensors"] if shape_of(x) != (0,)]  # PyTorch skips these
    if len(parts) == 1:
        return use.written(parts[0])
    return f"np.concatenate({use.written(parts)}, axis={use['dim']})"


def _pad(use: Use) -> str:
    mode = use.values.get("mode", "constant")
    value = use["value"] or 0.0
    name = "self"
    pads = [int(n) for n in use["pad"]]
    if mode == "constant":
        return f"parts.pad({use.text(name)}, {tuple(pads)}, {use.written(value)})"
    if mode in ("reflect", "replicate", "circular") and min(pads) >= 0:
        numpys = {"reflect": "reflect", "replicate": "edge", "circular": "wrap"}[mode]
        return f"parts.pad_by({use.text(name)}, {tuple(pads)}, {numpys!r})"
    raise NotWrittenError(f"mode={mode!r}")


def _index(use: Use, key: str = "indices") -> str:
    """``:, i, j`` of PyTorch's list of indices, None for a whole axis."""
    parts = [":" if part is None else use.written(part) for part in use[key]]
    while parts and parts[-1] == ":":
        parts.pop()
    return ", ".join(parts) or "..."


def _picked(use: Use, index: str) -> str:
    """Elements at an index: NumPy would ask a traced one for its numbers if x is a plain array."""
    x = use.text("self")
    return f"parts.picked({x}, np.s_[{index}])" if use.is_constant("self") else f"{x}[{index}]"


def _index_put(use: Use) -> str:
    where = f"np.s_[{_index(use)}]"
    function = "parts.added_at" if use["accumulate"] else "parts.put_at"
    return f"{function}({use.text('self')}, {where}, {use.text('values')})"


def _select_scatter(use: Use) -> str:
    dim = use["dim"] % len(use.shape("self"))
    return (
        f"parts.put_at({use.text('self')}, np.s_[{_ahead(dim)}{use['index']}], {use.text('src')})"
    )


def _slice_scatter(use: Use) -> str:
    dim = use["dim"] % len(use.shape("self"))
    length = use.shape("self")[dim]
    end = None if use["end"] is None or use["end"] >= length else use["end"]
    part = _part(use["start"] or None, end, use["step"])
    if part == ":":
        return use.text("src")
    return f"parts.put_at({use.text('self')}, np.s_[{_ahead(dim)}{part}], {use.text('src')})"


def _squeeze(use: Use) -> str:
    return f"np.reshape({use.text('self')}, {use.out_shape})"


def _repeat(use: Use) -> str:
    times = "repeats" if "repeats" in use.values else "dims"
    return f"np.tile({use.text('self')}, {use.text(times)})"


def _index_select(use: Use) -> str:
    dim = use["dim"] % max(len(use.shape("self")), 1)
    return _picked(use, f"{_ahead(dim)}{use.text('index')}")


def _pixel_shuffle(use: Use) -> str:
    return f"parts.pixel_shuffle({use.text('self')}, {use['upscale_factor']})"


def _embedding(use: Use) -> str:
    use.require("sparse", False)
    use.require("scale_grad_by_freq", False)
    ids, table, padding = use.text("indices"), use.text("weight"), use["padding_idx"]
    if padding < 0:
        return f"F.embedding({ids}, {table})"
    return f"parts.embedding({ids}, {table}, {padding})"


def _histc(use: Use) -> str:
    low, high = use["min"], use["max"]
    if low == high:
        raise NotWrittenError("min and max that follow from the numbers")
    return f"parts.histc({use.text('self')}, {use['bins']}, {number(low)}, {number(high)})"


def _grouped(use: Use) -> str:
    use.require("bias", None)
    if len(use.shape("self")) != 2 or len(use.shape("mat2")) != 3 or use["offs"] is None:
        raise NotWrittenError("other shapes than rows and a matrix for each group")
    return f"parts.grouped_product({use.text('self')}, {use.text('mat2')}, {use.text('offs')})"


def _searched(use: Use) -> str:
    """Where numbers would stand in a row that rises."""
    bounds = "sorted_sequence" if "sorted_sequence" in use.values else "boundaries"
    if len(use.shape(bounds)) != 1 or use.values.get("sorter") is not None:
        raise NotWrittenError("a row of bounds for each row, or sorter=")
    right = bool(use["right"] or use.values.get("side") == "right")
    return f"parts.searched({use.text(bounds)}, {use.text('self')}, {right})"


def _repeat_interleave(use: Use) -> str:
    if isinstance(use["repeats"], Node):
        raise NotWrittenError("repeats that are a tensor")
    return f"np.repeat({use.text('self')}, {use['repeats']}, axis={use['dim']})"


def _windows(use: Use) -> str:
    axis, step = use["dimension"] % max(len(use.shape("self")), 1), use["step"]
    view = (
        f"np.lib.stride_tricks.sliding_window_view({use.text('self')}, {use['size']}, axis={axis})"
    )
    return view if step == 1 else f"{view}[{':, ' * axis}::{step}]"


SHAPES: dict[str, Writers] = {
    "aten.view.default": _reshape,
    "aten.reshape.default": _reshape,
    "aten._unsafe_view.default": _reshape,
    "aten._reshape_copy.default": _reshape,
    "aten.flatten.using_ints": _reshape,
    "aten.unflatten.int": _reshape,
    "aten.squeeze.default": _squeeze,
    "aten.squeeze.dim": _squeeze,
    "aten.squeeze.dims": _squeeze,
    "aten.unsqueeze.default": "np.expand_dims({self}, {dim})",
    "aten.expand.default": _expand,
    "aten.expand_as.default": _expand,
    "aten.expand_copy.default": _expand,
    "aten.broadcast_to.default": _expand,
    "aten.permute.default": "np.transpose({self}, {dims})",
    "aten.transpose.int": _transposed,
    "aten.t.default": _t,
    "aten.mT.default": "{self}.mT",
    "aten.numpy_T.default": "{self}.T",
    "aten.movedim.intlist": "np.moveaxis({self}, {source}, {destination})",
    "aten.movedim.int": "np.moveaxis({self}, {source}, {destination})",
    "aten.slice.Tensor": _slice,
    "aten.narrow.default": lambda use: (
        f"{use.text('self')}[{_ahead(use['dim'] % len(use.shape('self')))}"
        f"{use['start']}:{use['start'] + use['length']}]"
    ),
    "aten.select.int": _select,
    "aten.split.Tensor": _split,
    "aten.split.sizes": _split,
    "aten.split_with_sizes.default": _split,
    "aten.chunk.default": _split,
    "aten.tensor_split.sections": _split,
    "aten.unbind.int": _unbind,
    "aten.cat.default": _cat,
    "aten.concat.default": _cat,
    "aten.stack.default": "np.stack({tensors}, axis={dim})",
    "aten.repeat.default": _repeat,
    "aten.tile.default": _repeat,
    "aten.repeat_interleave.self_int": _repeat_interleave,
    "aten.flip.default": "np.flip({self}, {dims})",
    "aten.roll.default": lambda use: (
        f"np.roll({use.text('self')}, {use.text('shifts')}, axis={use['dims'] or None})"
        if not use["dims"]
        else f"np.roll({use.text('self')}, {use.text('shifts')}, axis={use.text('dims')})"
    ),
    "aten.diagonal.default": "np.diagonal({self}, {offset}, {dim1}, {dim2})",
    "aten.tril.default": "np.tril({self}, {diagonal})",
    "aten.triu.default": "np.triu({self}, {diagonal})",
    "aten.constant_pad_nd.default": _pad,
    "aten.pad.default": _pad,
    "aten.pixel_shuffle.default": _pixel_shuffle,
    # places by indices
    "aten.index.Tensor": lambda use: _picked(use, _index(use)),
    "aten._unsafe_index.Tensor": lambda use: _picked(use, _index(use)),
    "aten.index_put.default": _index_put,
    "aten._unsafe_index_put.default": _index_put,
    "aten.index_select.default": _index_select,
    "aten.select_scatter.default": _select_scatter,
    "aten.slice_scatter.default": _slice_scatter,
    "aten.gather.default": "parts.gather({self}, {dim}, {index})",
    "aten.scatter.src": "parts.scatter({self}, {dim}, {index}, {src})",
    "aten.scatter.value": "parts.scatter({self}, {dim}, {index}, {value})",
    "aten.scatter_add.default": "parts.scatter_add({self}, {dim}, {index}, {src})",
    "aten.index_add.default": "parts.index_add({self}, {dim}, {index}, {source}, {alpha})",
    "aten.histc.default": _histc,
    "transformers.grouped_mm_fallback.default": (
        "parts.grouped_product({input}, {weight}, {offs})"
    ),
    "aten._grouped_mm.default": _grouped,
    "aten.searchsorted.Tensor": _searched,
    "aten.bucketize.Tensor": _searched,
    "aten.embedding.default": _embedding,
    "aten.unfold.default": _windows,
}
