"""Each option of a job does what it says; all on the tiny model, in this process."""

import math
import warnings
from importlib.util import find_spec

import pytest
import torch
from peft import PeftModel
from peft.tuners.lora import LoraLayer
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM

from adaptery.adapter_folders import inspect_adapter
from adaptery_training.base import load_base_model
from adaptery_training.failures import SpecRefusedError
from adaptery_training.labelled_loss import Collator, labelled_loss
from adaptery_training.machine import choose_precision
from support.training_runs import job_spec, train
from tiny.models import CONTEXT_TOKENS

HALF = 3
STILL = {"max_steps": 1, "scheduler": "constant"}
LINE = [1 - n / 6 for n in range(6)]
COSINE = [0.5 * (1 + math.cos(math.pi * n / 6)) for n in range(6)]


@pytest.fixture(scope="module")
def plain(base, tmp_path_factory):
    return train(base, tmp_path_factory.mktemp("plain"), job_spec())


def test_weight_decay_takes_its_part_of_each_weight(base, tmp_path):
    fresh, decayed = (
        train(base, tmp_path, job_spec({"max_steps": 1, "weight_decay": decay})).weights
        for decay in (0.0, 0.5)
    )
    name = next(name for name in fresh if "lora_A" in name)
    # Of AdamW: w - lr * (Adam's step) - lr * decay * w; the first step of A is none, as B is 0.
    torch.testing.assert_close(decayed[name], fresh[name] * (1 - 0.01 * 0.5))


def test_gradients_are_clipped_to_the_norm(base, tmp_path, plain):
    clipped = train(base, tmp_path, job_spec({"max_grad_norm": 1e-9}))
    assert clipped.losses[1] == plain.losses[1]
    # Adam divides by the size of the gradient, but not by less than its epsilon of 1e-8.
    assert plain.losses[1] - plain.losses[6] > 5 * (clipped.losses[1] - clipped.losses[6])


def test_neftune_adds_noise_where_it_is_trained_and_nowhere_else(base, tmp_path):
    still = {"learning_rate": 1e-12, "max_steps": 1}
    quiet, noisy = (
        train(base, tmp_path, job_spec({**still, "neftune_alpha": alpha}, eval={"val_size": 4}))
        for alpha in (None, 5)
    )
    assert abs(noisy.losses[1] - quiet.losses[1]) > 0.01
    assert noisy.eval_losses == quiet.eval_losses


def test_loraplus_moves_b_faster_than_a(base, tmp_path):
    run = train(base, tmp_path, job_spec({**STILL, "loraplus_ratio": 16}))
    largest = max(w.abs().max() for name, w in run.weights.items() if "lora_B" in name)
    assert largest == pytest.approx(0.01 * 16, rel=1e-3)  # Adam's first step is the learning rate
    rates = [group["lr"] for group in run.trainer.optimizer.param_groups if group["params"]]
    assert sorted(rates) == pytest.approx([0.01, 0.16])


@pytest.mark.parametrize(
    ("scheduler", "rates"),
    [
        pytest.param("constant", [1, 1, 1, 1, 1, 1], marks=pytest.mark.slow),
        pytest.param("linear", LINE, marks=pytest.mark.slow),
        ("cosine", COSINE),
        pytest.param("cosine_with_restarts", COSINE, marks=pytest.mark.slow),
        pytest.param("polynomial", LINE, marks=pytest.mark.slow),
        ("inverse_sqrt", [1, *[(1 + n / 10_000) ** -0.5 for n in range(1, 6)]]),
    ],
)
def test_each_schedule_resumes_where_it_was(base, tmp_path, plain, scheduler, rates):
    spec = job_spec({"scheduler": scheduler})
    first = train(base, tmp_path, spec, stop_after=HALF)
    rest = train(base, tmp_path, spec, resume=first)
    assert [*first.learning_rates, *rest.learning_rates] == pytest.approx(
        [0.01 * rate for rate in rates], rel=1e-4
    )
    if scheduler == "cosine":
        assert {**first.losses, **rest.losses} == plain.losses


def test_warm_up_takes_its_share_of_the_steps(base, tmp_path):
    run = train(base, tmp_path, job_spec({"warmup_ratio": 0.5, "scheduler": "linear"}))
    assert run.learning_rates[:4] == pytest.approx([0.0, 0.01 / 3, 0.02 / 3, 0.01], abs=1e-9)


def test_gradient_checkpointing_computes_the_same(base, tmp_path, plain):
    run = train(base, tmp_path, job_spec({"gradient_checkpointing": True}))
    assert run.trainer.model.get_base_model().is_activation_checkpointing
    assert run.losses == pytest.approx(plain.losses, rel=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("attention", ["eager", "sdpa"])
def test_attention_is_computed_as_asked_for(base, tmp_path, plain, attention):
    run = train(base, tmp_path, job_spec({"attention": attention, "max_steps": 2}))
    assert run.trainer.model.config._attn_implementation == attention
    assert run.losses[1] == pytest.approx(plain.losses[1], rel=1e-5)


@pytest.mark.parametrize(
    ("package", "optim", "named"),
    [
        ("flash_attn", {"attention": "flash", "precision": "bf16"}, "optim.attention"),
        ("bitsandbytes", {"quantization": "4bit"}, "optim.quantization"),
        ("bitsandbytes", {"quantization": "8bit"}, "optim.quantization"),
    ],
)
def test_what_this_machine_lacks_is_refused_by_the_field(base, package, optim, named):
    if find_spec(package) is not None:
        pytest.skip(f"{package} is here")
    spec = job_spec(optim)
    with pytest.raises(SpecRefusedError, match=named):
        load_base_model(base, spec.base_model, "fp32", optim=spec.optim)


@pytest.mark.parametrize(("bits", "near"), [("4bit", 0.5), ("8bit", 0.05)])
def test_an_adapter_is_trained_on_quantized_weights(base, tmp_path, plain, bits, near):
    bitsandbytes = pytest.importorskip("bitsandbytes")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what it says of its own kernels
        run = train(base, tmp_path, job_spec({"quantization": bits}))
    layers = run.trainer.model.get_base_model().model.layers
    kind = getattr(bitsandbytes.nn, "Linear4bit" if bits == "4bit" else "Linear8bitLt")
    assert isinstance(layers[0].mlp.up_proj.get_base_layer(), kind)
    assert run.losses[1] == pytest.approx(plain.losses[1], rel=near)
    assert run.losses[6] < run.losses[1]


@pytest.mark.skipif(torch.cuda.is_available(), reason="a GPU has it")
def test_fp16_is_refused_without_a_gpu():
    with pytest.raises(SpecRefusedError, match=r"optim\.precision"):
        choose_precision("fp16")


def test_positions_are_stretched(base):
    def frequencies(**rope):
        optim = job_spec({"rope": rope or None}).optim
        model = load_base_model(base, job_spec().base_model, "fp32", optim=optim).model
        return model.model.rotary_emb.inv_freq, model.config

    plain, config = frequencies()
    linear, stretched = frequencies(kind="linear", factor=4)
    torch.testing.assert_close(linear, plain / 4)
    assert stretched.max_position_embeddings == 4 * config.max_position_embeddings
    yarn, _ = frequencies(kind="yarn", factor=4)
    assert yarn[0] == plain[0] and yarn[-1] == pytest.approx(float(plain[-1] / 4))


def test_dynamic_stretching_changes_nothing_within_the_context(base):
    def states(tokens, rope):
        spec = job_spec({"rope": rope})
        model = load_base_model(base, spec.base_model, "fp32", optim=spec.optim).model
        with torch.no_grad():
            return model(input_ids=torch.full((1, tokens), 20)).logits

    dynamic = {"kind": "dynamic", "factor": 2}
    assert torch.equal(states(CONTEXT_TOKENS, dynamic), states(CONTEXT_TOKENS, None))
    assert not torch.allclose(states(CONTEXT_TOKENS + 9, dynamic), states(CONTEXT_TOKENS + 9, None))


def test_shuffled_batches_are_in_no_order_of_length(base, tmp_path):
    run = train(base, tmp_path, job_spec({"batching": "shuffled", "max_steps": 1}))
    lengths = [run.trainer._lengths[i] for i in run.trainer._get_train_sampler()]
    spans = [max(batch) - min(batch) for batch in zip(*[iter(lengths)] * 4, strict=True)]
    grouped = train(base, tmp_path, job_spec({"max_steps": 1}))
    sorted_lengths = [grouped.trainer._lengths[i] for i in grouped.trainer._get_train_sampler()]
    tight = [max(batch) - min(batch) for batch in zip(*[iter(sorted_lengths)] * 4, strict=True)]
    assert sorted(lengths) == sorted(sorted_lengths)
    assert sum(spans) > 2 * sum(tight)


def test_packed_rows_hold_everything_in_fewer_steps_and_resume(base, tmp_path):
    packed = {"batching": "packed", "cutoff_len": 256, "batch_size": 2}
    spec = job_spec({**packed, "max_steps": None, "epochs": 3})
    whole = train(base, tmp_path, spec)
    rows = math.ceil(sum(whole.trainer._lengths) / 256)
    assert len(whole.trainer._lengths) in (rows, rows + 1)
    assert whole.outcome.step == 3 * math.ceil(len(whole.trainer._lengths) / 2)
    first = train(base, tmp_path, spec, stop_after=HALF)
    rest = train(base, tmp_path, spec, resume=first)
    assert {**first.losses, **rest.losses} == whole.losses


# ---- what is held out ----


def test_the_held_out_loss_is_the_mean_over_its_tokens(base, tmp_path):
    run = train(base, tmp_path, job_spec({"save_steps": 4}, eval={"val_size": 0.25}))
    assert list(run.eval_losses) == [4, 6]  # at each checkpoint, and after the last step
    trainer = run.trainer
    examples = trainer._held_out._by_length
    assert len(examples) == 5
    batch = Collator(0)(examples)
    trainer.model.eval()
    with torch.no_grad():
        loss = labelled_loss(trainer.model, trainer._head, batch, batch["weights"].sum())
    assert run.eval_losses[6] == pytest.approx(float(loss), rel=1e-5)
    assert run.outcome.summary["eval_loss"] == min(run.eval_losses.values())


@pytest.mark.slow
def test_an_evaluation_leaves_no_trace(base, tmp_path):
    lora = {"dropout": 0.3}
    often = train(base, tmp_path, job_spec(lora=lora, eval={"val_size": 4, "steps": 1}))
    seldom = train(base, tmp_path, job_spec(lora=lora, eval={"val_size": 4, "steps": 100}))
    assert len(often.eval_losses) == 6 and list(seldom.eval_losses) == [6]
    assert often.losses == seldom.losses
    assert often.eval_losses[6] == seldom.eval_losses[6]


PATIENT = {"val_size": 6, "steps": 2, "patience": 2}
HASTY = {"learning_rate": 0.05, "max_steps": 40, "scheduler": "constant"}


@pytest.fixture(scope="module")
def stopped_early(base, tmp_path_factory):
    return train(base, tmp_path_factory.mktemp("early"), job_spec(HASTY, eval=PATIENT))


def test_training_ends_when_nothing_gets_better_and_the_best_is_handed_in(base, stopped_early):
    losses = stopped_early.eval_losses
    best = min(losses, key=losses.__getitem__)
    assert stopped_early.outcome.finished
    assert stopped_early.outcome.step == best + 2 * 2 < 40
    assert stopped_early.outcome.summary["best_step"] == best
    assert stopped_early.outcome.summary["eval_loss"] == losses[best]
    assert stopped_early.trainer.held_out_loss() == pytest.approx(losses[best], rel=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("after", ["before the best", "after the best", "at the end"])
def test_an_early_stop_is_the_same_after_a_resume(base, tmp_path, stopped_early, after):
    best = int(stopped_early.outcome.summary["best_step"])
    stop = {"before the best": best - 1, "after the best": best + 3, "at the end": None}[after]
    first = train(base, tmp_path, stopped_early.spec, stop_after=stop)
    assert first.outcome.finished == (stop is None)
    rest = train(base, tmp_path, stopped_early.spec, resume=first)
    assert {**first.eval_losses, **rest.eval_losses} == stopped_early.eval_losses
    assert rest.outcome.step == stopped_early.outcome.step
    for name, weight in stopped_early.weights.items():
        assert torch.equal(rest.weights[name], weight)


# ---- kinds of adapters ----


@pytest.mark.parametrize(
    "lora",
    [{"kind": "loha"}, {"init": "pissa"}, pytest.param({"kind": "lokr"}, marks=pytest.mark.slow)],
)
def test_every_kind_resumes_exactly_and_its_checkpoints_can_be_served(base, tmp_path, lora):
    spec = job_spec(lora=lora, optim={"learning_rate": 0.02})
    whole = train(base, tmp_path, spec)
    first = train(base, tmp_path, spec, stop_after=HALF)
    rest = train(base, tmp_path, spec, resume=first)
    assert {**first.losses, **rest.losses} == whole.losses
    assert whole.losses[6] < whole.losses[1]
    saved = rest.observer.checkpoints[-1].path
    served = tmp_path / "served"
    served.mkdir()
    for name in ("adapter_config.json", "adapter_model.safetensors"):
        (served / name).write_bytes((saved / name).read_bytes())
    assert inspect_adapter(served).rank > 4
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "`is_gradient_checkpointing`", FutureWarning)
        model = PeftModel.from_pretrained(
            AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32), str(served)
        ).eval()
    batch = Collator(0)(whole.trainer.train_dataset._examples[:4])
    trained = rest.trainer.model.eval()
    with torch.no_grad():
        losses = [
            labelled_loss(m, m.get_base_model().get_output_embeddings(), batch, 1.0)
            for m in (model, trained)
        ]
    torch.testing.assert_close(losses[0], losses[1], rtol=1e-4, atol=1e-4)


def test_a_checkpoint_of_plain_lora_holds_its_weights_once(base, tmp_path):
    run = train(base, tmp_path, job_spec({"max_steps": 1}))
    saved = run.observer.checkpoints[-1].path
    assert sorted(path.name for path in saved.glob("*.safetensors")) == [
        "adapter_model.safetensors"
    ]
    assert load_file(saved / "adapter_model.safetensors").keys() == run.weights.keys()


def test_rslora_scales_by_the_root_of_the_rank(base, tmp_path, plain):
    run = train(base, tmp_path, job_spec(lora={"rslora": True}))
    layer = next(m for m in run.trainer.model.modules() if isinstance(m, LoraLayer))
    assert layer.scaling["default"] == 8 / math.sqrt(4)
    assert run.losses[1] == plain.losses[1] and run.losses[6] != plain.losses[6]


def test_memory_and_tokens_are_summed_up(base, tmp_path, plain):
    first = train(base, tmp_path, plain.spec, stop_after=HALF)
    rest = train(base, tmp_path, plain.spec, resume=first)
    assert rest.outcome.summary["tokens"] == plain.outcome.summary["tokens"] > 0
    assert rest.outcome.summary["peak_memory_bytes"] > 50 << 20
