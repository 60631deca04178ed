"""Packed sequences: one step serves any lengths, and does what PyTorch does with each of them."""

import copy

import pytest

import allbps as bp
from allbps.errors import ArgumentError

torch = pytest.importorskip("torch")
pytest.importorskip("llvmlite")
T, nn = torch.nn.functional, torch.nn
pack, pad = nn.utils.rnn.pack_padded_sequence, nn.utils.rnn.pad_packed_sequence
STEPS, WIDTH, SEQUENCES = 5, 3, 4


def randn(*shape, seed=0):
    rng = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=rng, dtype=torch.float64)


class Reader(nn.Module):
    """What a layer says of packed sequences, in one of the ways that people take."""

    def __init__(self, layer, way, **options):
        super().__init__()
        self.rnn, self.way = layer(WIDTH, 4, dtype=torch.float64, **options), way
        wide = (options.get("proj_size") or 4) * (2 if options.get("bidirectional") else 1)
        self.head = nn.Linear(wide, 2, dtype=torch.float64)

    def forward(self, x, lengths):
        first = self.rnn.batch_first
        packed = pack(x if first else x.mT.mT.transpose(0, 1), lengths, batch_first=first,
                      enforce_sorted=False)  # fmt: skip
        out, last = self.rnn(packed)
        return WAYS[self.way](self, out, last)


def of_states(module, out, last):
    states = last if isinstance(last, tuple) else (last,)
    return sum(state.pow(2).sum() for state in states) + out.data.sum() * 0


def of_padded(module, out, last):
    whole, lengths = pad(out, batch_first=True, padding_value=-1.0)
    return (module.head(whole).tanh().sum((1, 2)) / lengths).mean() + whole[:, -1].sum()


def of_total(module, out, last):
    whole, _ = pad(out, batch_first=True, total_length=STEPS + 2)
    return module.head(whole).pow(2).mean()


def of_data(module, out, last):
    """An element at a time, as captions and taggers do."""
    scores = module.head(out.data)
    again = nn.utils.rnn.PackedSequence(scores.tanh(), *out[1:])
    return scores.pow(2).mean() + pad(again, total_length=STEPS)[0].cos().sum()


WAYS = {"states": of_states, "padded": of_padded, "total": of_total, "data": of_data}
LAYERS = {
    "LSTM": (nn.LSTM, {"batch_first": True}),
    "LSTM both, two": (nn.LSTM, {"num_layers": 2, "bidirectional": True}),
    "LSTM projected": (nn.LSTM, {"proj_size": 2, "batch_first": True, "bidirectional": True}),
    "GRU": (nn.GRU, {"batch_first": True, "bidirectional": True}),
    "RNN": (nn.RNN, {"nonlinearity": "relu", "batch_first": True, "bias": False}),
}  # fmt: skip


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("layer", LAYERS)
def test_one_step_serves_all_lengths_as_in_pytorch(layer, way):
    torch.manual_seed(0)
    kind, options = LAYERS[layer]
    module = Reader(kind, way, **options)
    other = copy.deepcopy(module)
    ours, theirs = (torch.optim.SGD(m.parameters(), 0.05) for m in (module, other))
    batches = [
        (randn(SEQUENCES, STEPS, WIDTH, seed=k), torch.tensor(lengths))
        for k, lengths in enumerate([[2, 5, 1, 3], [5, 5, 5, 5], [1, 1, 4, 5]])
    ]
    step = bp.torch.train_step(module, None, batches[0], optimizer=ours)
    for x, lengths in batches:
        theirs.zero_grad()
        expected = other(x, lengths)
        expected.backward()
        theirs.step()
        assert step(x, lengths).item() == pytest.approx(expected.item(), rel=1e-10)
    for name, p in other.named_parameters():
        torch.testing.assert_close(module.get_parameter(name), p, rtol=1e-9, atol=1e-12)


def test_the_same_masks_are_drawn_between_the_layers():
    module = Reader(nn.LSTM, "padded", num_layers=2, dropout=0.5, batch_first=True)
    sgd = torch.optim.SGD(module.parameters(), 0.1)
    x, lengths = randn(SEQUENCES, STEPS, WIDTH), torch.tensor([2, 5, 1, 3])
    step = bp.torch.train_step(module, None, (x, lengths), optimizer=sgd)  # it compares
    assert step(x, lengths) != step(x, lengths)


def test_padding_that_no_sequence_needs_is_said_and_nothing_is_moved():
    module = Reader(nn.GRU, "padded", batch_first=True)
    sgd = torch.optim.SGD(module.parameters(), 0.1)
    x = randn(SEQUENCES, STEPS, WIDTH)
    step = bp.torch.train_step(module, None, (x, torch.tensor([2, 5, 1, 3])), optimizer=sgd)
    before = copy.deepcopy(module.state_dict())
    with pytest.raises(ArgumentError, match="longest of packed sequences"):
        step(x, torch.tensor([2, 4, 1, 3]))
    for name, tensor in module.state_dict().items():
        assert torch.equal(tensor, before[name])


def test_a_loop_over_the_sizes_of_batches_is_refused():
    class Loop(nn.Module):
        def forward(self, x, lengths):
            packed = pack(x, lengths, batch_first=True)
            return sum(packed.data[:size].sum() for size in packed.batch_sizes)

    with pytest.raises(ArgumentError, match="values of tensors"):
        bp.torch.from_module(Loop(), randn(2, STEPS, WIDTH), torch.tensor([5, 3]))
