"""Models of transformers, small ones of random weights, train as in PyTorch, every gradient too."""

import copy

import pytest

import allbps as bp

torch = pytest.importorskip("torch")
pytest.importorskip("llvmlite")
tf = pytest.importorskip("transformers")
RATE, STEPS = 0.05, 4
HEADS = {"num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 12}
NO_DROPOUT = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}


def words(*shape):
    return torch.randint(1, 13, shape)


def gpt2():
    config = tf.GPT2Config(
        vocab_size=13, n_positions=8, n_embd=8, n_layer=1, n_head=2, resid_pdrop=0.0,
        embd_pdrop=0.0, attn_pdrop=0.0, bos_token_id=0, eos_token_id=0, loss_type="ForCausalLM",
    )  # fmt: skip
    ids = words(2, 6)
    return tf.GPT2LMHeadModel(config), {"input_ids": ids, "labels": ids}


def bert():
    config = tf.BertConfig(vocab_size=13, hidden_size=8, max_position_embeddings=8,
                           **HEADS, **NO_DROPOUT)  # fmt: skip
    mask = torch.ones(2, 6, dtype=torch.long)
    mask[1, 4:] = 0
    batch = {"input_ids": words(2, 6), "attention_mask": mask, "labels": torch.tensor([0, 1])}
    return tf.BertForSequenceClassification(config), batch


def vit():
    config = tf.ViTConfig(hidden_size=8, image_size=8, patch_size=4, num_labels=3,
                          **HEADS, **NO_DROPOUT)  # fmt: skip
    batch = {"pixel_values": torch.randn(2, 3, 8, 8), "labels": torch.tensor([0, 2])}
    return tf.ViTForImageClassification(config), batch


def llama():
    config = tf.LlamaConfig(vocab_size=13, hidden_size=8, num_key_value_heads=1, use_cache=False,
                            max_position_embeddings=8, **HEADS)  # fmt: skip
    ids = words(2, 6)
    return tf.LlamaForCausalLM(config), {"input_ids": ids, "labels": ids}


def t5():
    config = tf.T5Config(vocab_size=13, d_model=8, d_kv=4, d_ff=12, num_layers=1, num_heads=2,
                         dropout_rate=0.0, decoder_start_token_id=0, use_cache=False)  # fmt: skip
    return tf.T5ForConditionalGeneration(config), {"input_ids": words(2, 6), "labels": words(2, 5)}


MODELS = {
    bert: (torch.float64, 1e-9), vit: (torch.float64, 1e-9),
    t5: (torch.float64, 1e-6),  # its norms are float32 in every mode
    gpt2: (torch.float32, 1e-4), llama: (torch.float32, 1e-4),  # their losses are always float32
}  # fmt: skip


def assert_near(ours, theirs, rtol, name):
    """Within a part of the largest number: a gradient may be nothing but rounding."""
    assert (ours - theirs).abs().max() <= rtol * theirs.abs().max() + rtol * 1e-2, name


@pytest.mark.filterwarnings("ignore:no kernel for astype")  # T5's norms: float32 in float64
@pytest.mark.parametrize("make", MODELS)
def test_models_of_transformers_train_as_in_pytorch(make):
    torch.manual_seed(0)
    dtype, rtol = MODELS[make]
    module, batch = make()
    module = module.to(dtype).train()
    batch = {name: x.to(dtype) if x.is_floating_point() else x for name, x in batch.items()}
    other = copy.deepcopy(module)
    ours, theirs = (torch.optim.SGD(m.parameters(), RATE, momentum=0.9) for m in (module, other))
    step = bp.torch.train_step(module, None, batch, optimizer=ours)
    for k in range(STEPS):
        theirs.zero_grad()
        expected = other(**batch).loss
        expected.backward()
        assert step(**batch).item() == pytest.approx(expected.item(), rel=rtol)
        for name, p in other.named_parameters() if k == 0 else ():
            # what the first step remembers is the gradient
            found = ours.state[module.get_parameter(name)]["momentum_buffer"]
            assert_near(found, p.grad, rtol, name)
        theirs.step()
    for name, p in other.named_parameters():
        assert_near(module.get_parameter(name), p, rtol, name)
