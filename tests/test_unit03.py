"""Facts in Unit 3's prose and quiz that no cell of its lesson computes."""

import math

import pytest
import torch
from torch import nn

from grader.units import find_units
from halfbits.formats import FORMATS
from halfbits.gradients import recorded_from, recorded_gradients, recorded_histogram
from halfbits.overflow import trace

FP16 = torch.float16
INF = math.inf


def half(*values) -> torch.Tensor:
    return torch.tensor(values, dtype=FP16)


def every_positive(dtype: torch.dtype, infinity: int) -> torch.Tensor:
    return torch.arange(1, infinity, dtype=torch.int32).to(torch.int16).view(dtype)


def first(x: torch.Tensor, where: torch.Tensor) -> float:
    return x[where][0].item()


# Opening: true answers, and where functions leave the range


def test_the_true_answers_of_the_opening():
    p = torch.softmax(torch.tensor([12.0, 11.0, 10.0], dtype=torch.float64), 0)
    assert [f"{x:.3f}" for x in p.tolist()] == ["0.665", "0.245", "0.090"]
    assert math.sqrt(4096 * 300**2) == 19200
    torch.manual_seed(0)
    x = (10_000 + torch.randn(1000)).double()
    assert f"{x.var(correction=0).item():.3f}" == "1.057"


def test_thresholds_of_exp():
    x = every_positive(FP16, 0x7C00)
    below = x[~x.exp().isinf()][-1]
    assert (below.item(), below.exp().item()) == (11.0859375, 65248)
    edge = torch.tensor([88.72, 88.73])
    assert edge.exp().isinf().tolist() == [False, True]


def test_a_result_is_infinite_from_65520_and_zero_up_to_two_to_the_minus_25():
    seen = torch.tensor([65519.99, 65520.0, 2.0**-25, 1.01 * 2.0**-25]).half()
    assert seen.tolist() == [65504, INF, 0, 2.0**-24]
    assert f"{math.sqrt(2**-25):.1e}" == "1.7e-04"


# Softmax and cross entropy


def test_why_three_logits_of_10_give_zeros_and_three_of_minus_20_give_nan():
    ten = half(10, 10, 10).exp()
    assert ten.isfinite().all() and ten.sum().isinf()
    assert (ten / ten.sum()).tolist() == [0, 0, 0]
    e = half(-20, -20, -20).exp()
    assert e.sum() == 0 and (e / e.sum()).isnan().all()


def test_the_worked_example_of_softmax():
    e = [math.exp(-k) for k in range(3)]
    assert [f"{x:.3f}" for x in e] == ["1.000", "0.368", "0.135"]
    assert f"{sum(e):.3f}" == "1.503"


def test_fp16_step_by_step_gives_06655():
    e = (half(12, 11, 10) - 12).exp()
    assert f"{(e / e.sum())[0].item():.4f}" == "0.6655"


def test_an_epsilon_in_the_logarithm_is_a_ceiling_with_a_nan_for_a_gradient():
    for gap in (18, 20, 100):
        logits = half(0, gap).requires_grad_()
        loss = -(torch.softmax(logits, 0)[0] + 1e-7).log()
        loss.backward()
        assert f"{loss.item():.1f}" == "15.9" and logits.grad.isnan().all()


def test_a_gap_of_20():
    assert f"{1 / (1 + math.exp(20)):.0e}" == "2e-09"
    assert f"{20 + math.log1p(math.exp(-20)):.9f}" == "20.000000002"
    assert FORMATS["fp16"].ulp(1000.0) == 0.5 and f"{math.log(3):.4f}" == "1.0986"


# Norms and variances


def test_var_mean_of_one_number_needs_correction_0():
    one = torch.tensor([10005.0])
    assert [v.item() for v in torch.var_mean(one, correction=0)] == [0, 10005]
    with pytest.warns(UserWarning, match="degrees of freedom"):
        assert torch.var_mean(one)[0].isnan()


def test_the_variance_of_exercise_4_is_unbiased():
    torch.manual_seed(0)
    z = torch.randn(1000).double()
    assert [f"{z.var(correction=c).item():.3f}" for c in (1, 0)] == ["1.058", "1.057"]


def test_the_worked_examples_of_norm_and_variance():
    assert 400 * math.sqrt(0.75**2 + 1) == 500 == math.hypot(300, 400)
    numbers = torch.tensor([10001.0, 10003.0, 10005.0])
    assert (numbers - 10003).square().sum() == 8 and numbers.var() == 4
    assert FORMATS["fp32"].ulp(1e8) == 8


# Masks


def test_the_most_negative_number_of_float32_is_infinite_in_both_16_bit_formats():
    low = torch.tensor(torch.finfo(torch.float32).min)
    assert low.half() == -INF and low.bfloat16() == -INF


def test_scores_of_minus_16_push_finfo_min_over_the_edge():
    low = torch.finfo(FP16).min
    assert (half(-16) + low).tolist() == [-INF]
    assert (half(-15.99) + low).tolist() == [low]


def test_attention_with_a_boolean_mask_gives_zeros_for_a_row_masked_as_a_whole():
    x = torch.randn(1, 2, 4, generator=torch.Generator().manual_seed(0))
    mask = torch.tensor([[False, False], [True, False]])
    for dtype in (torch.float32, FP16):
        found = nn.functional.scaled_dot_product_attention(*[x.to(dtype)] * 3, attn_mask=mask)
        assert (found[0, 0] == 0).all() and torch.allclose(found[0, 1], x[0, 0].to(dtype))


# Gradients


def test_what_the_lesson_says_of_minilm():
    g = recorded_gradients()
    assert (g.dtype, len(g)) == (torch.float32, 100_000)
    assert f"{recorded_histogram().total / 1e6:.1f}" == "22.7"
    said = recorded_from()
    assert "all-MiniLM-L6-v2" in said["model"] and said["text"].startswith("16 sentences")
    assert said["tokens"].startswith("16 × 32")
    assert said["zeros"]["weights"] == "100.0% of the zeros are in the embeddings"
    weights, activations = (
        recorded_histogram(kind).report() for kind in ("weights", "activations")
    )
    assert activations.flushed > 10 * weights.flushed  # "worse off"
    assert weights.subnormal > 0.4 and weights.flushed < 0.002  # blurred, not erased


def test_a_loss_256_times_smaller_flushes_a_fifth():
    g = recorded_gradients()
    flushed = [((g != 0) & ((g * s).half() == 0)).float().mean().item() for s in (1, 2**-8)]
    assert [f"{100 * share:.1g}" for share in flushed] == ["0.2", "2e+01"]


def test_a_number_a_little_below_two_to_the_minus_14_rounds_up_to_it():
    g = torch.tensor([6.1034e-5, 6.1e-5])
    assert (g < 2**-14).all() and (g.half() == 2**-14).tolist() == [True, False]


def test_a_scale_that_is_a_power_of_two_changes_no_digit():
    g = recorded_gradients()
    assert torch.equal(g * 2.0**16 / 2.0**16, g)


def test_the_shares_of_nvidias_guide_come_to_103_percent():
    assert round(66.8 + 31 + 5.3) == 103
    assert 2**15 == 32768 and 2**3 == 8


def test_a_scale_of_two_to_the_30_overflows_gradients_of_6e_minus_5():
    assert f"{65520 / 2**30:.0e}" == "6e-05"


def test_the_worked_example_of_the_report():
    report = find_units(["03"])[0].exercises["grad_report"].oracle
    g = torch.tensor([0.0, 2.9e-8, -1e-6, 2.0])
    assert report(g, 1.0) == dict.fromkeys(report(g, 1.0), 0.25) | {"overflow": 0.0}
    scaled = report(g, 4096.0)
    assert (scaled["zero"], scaled["normal"]) == (0.25, 0.75)
    assert f"{4096 * 1e-6:.4f}" == "0.0041" and f"{4096 * 2.9e-8:.1e}" == "1.2e-04"


# Quiz


def test_quiz_long_vector():
    sums = [half(*[16.0] * n).square().sum().item() for n in (255, 256)]
    assert sums == [65280, INF]
    assert half(*[16.0] * 4094).sum() == 65504 and half(*[16.0] * 4095).sum().isinf()


@pytest.mark.parametrize(
    ("layer", "is_nan"),
    [
        (torch.relu, False),
        (lambda x: nn.functional.layer_norm(x, (4,)), True),
        (torch.tanh, False),
        (lambda x: torch.softmax(x, 0), True),
        (lambda x: nn.functional.max_pool1d(x[None], 2), False),
        (lambda x: x * torch.tensor([1.0, 0.0, 1.0, 1.0]), True),
    ],
)
def test_quiz_layers(layer, is_nan):
    assert layer(torch.tensor([1.0, INF, -2.0, 0.5])).isnan().any() == is_nan


def test_quiz_layer_norm_spoils_every_entry():
    x = torch.tensor([1.0, INF, -2.0, 0.5])
    assert nn.functional.layer_norm(x, (4,)).isnan().all()


def test_quiz_smallest_scale():
    g = torch.tensor(2.0**-30)
    assert [(g * s).half().item() for s in (32, 33, 48, 64)] == [0, *[2.0**-24] * 3]


def test_quiz_ssd():
    assert f"{2**-34:.0e}" == "6e-11"
    assert -34 - -149 > 100  # float32's smallest number is 2⁻¹⁴⁹


def test_quiz_minus_max_has_no_gradient_of_its_own():
    x = torch.tensor([3.0, 1.0, 2.0], dtype=torch.float64)
    weights = torch.tensor([1.0, -2.0, 0.5], dtype=torch.float64)
    grads = []
    for shift in (False, True):
        leaf = x.clone().requires_grad_()
        e = (leaf - leaf.max() if shift else leaf).exp()
        (weights * e / e.sum()).sum().backward()
        grads.append(leaf.grad)
    assert torch.allclose(*grads, rtol=1e-12)


# What the network of the tracer shows, where the text says what to look for


def test_the_tracer_shows_what_the_text_asks_for():
    assert "First ∞ in exp" in trace(3).said and "First NaN in ÷ sum" in trace(3).said
    assert "First ∞ in ReLU²" in trace(8).said and "First NaN in linear 2" in trace(8).said
    assert "Everything is finite" in trace(-16).said and "exactly 0" in trace(-16).said
    assert "First ∞ in exp" in trace(8, "bf16").said
    stable, logarithm = (trace(3, "fp16", ending) for ending in ("stable softmax", "log-softmax"))
    assert "First ∞ in loss" in stable.said and "Everything is finite" in logarithm.said


def test_where_does_not_protect_the_gradient():
    grads = []
    for root in (lambda x: x.sqrt(), lambda x: x.clamp(min=1e-30).sqrt()):
        x = torch.zeros(2, requires_grad=True)
        torch.where(x > 0, root(x), 0.0).sum().backward()
        grads.append(x.grad)
    assert grads[0].isnan().all() and grads[1].tolist() == [0, 0]
