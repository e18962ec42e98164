"""Where each name of ``halfbits`` comes from."""

from .checking.checks import check
from .environment import check_environment
from .formats import FORMATS, Format, get_format
from .gradients import recorded_gradients
from .pictures.adam_steps import adam_steps
from .pictures.amdahl import amdahl, amdahl_explorer
from .pictures.attempts import draw_decoded, draw_ulp
from .pictures.attempts_rounding import draw_rounded, draw_stochastic
from .pictures.attempts_stalls import draw_stalls
from .pictures.attempts_sums import draw_sums
from .pictures.audit import dtype_audit
from .pictures.autocast_rules import autocast_rules
from .pictures.bits import explore
from .pictures.cancellation import cancellation_explorer
from .pictures.cancellation_plot import cancellation
from .pictures.clipping import clip_explorer, clipping
from .pictures.dashboard import dashboard
from .pictures.dtypes import dtype_diagram, dtype_explorer
from .pictures.gradient_explorer import gradient_explorer, gradient_histogram
from .pictures.intervals import accuracy_intervals, interval_explorer
from .pictures.loss_curves import loss_curves
from .pictures.loss_scale import scaler_explorer, scaler_trace
from .pictures.masks import masks
from .pictures.matmul_errors import matmul_errors
from .pictures.memory_plots import (
    activation_bytes,
    activation_explorer,
    bytes_per_parameter,
)
from .pictures.numberline import number_line
from .pictures.overflow_explorer import overflow_explorer, overflow_trace
from .pictures.plots import range_vs_precision, spacing
from .pictures.recorded import master_weight_curves, scale_sweep
from .pictures.results import results
from .pictures.softmax_explorer import softmax_explorer, softmax_steps
from .pictures.split_explorer import split_explorer
from .pictures.splits import splits
from .pictures.steps import step_explorer, steps
from .pictures.stochastic import stochastic_explorer, stochastic_roundings
from .pictures.sums import running_sums, sum_explorer
from .pictures.tables import compare
from .pictures.transformer import activation_ranges, finetuning_runs
from .pictures.variance_explorer import variance_explorer, variances
from .progress import progress
from .quizzes.quiz import quiz
from .quizzes.quiz_check import check_quiz

__all__ = [
    "FORMATS",
    "Format",
    "accuracy_intervals",
    "activation_bytes",
    "activation_explorer",
    "activation_ranges",
    "adam_steps",
    "amdahl",
    "amdahl_explorer",
    "autocast_rules",
    "bytes_per_parameter",
    "cancellation",
    "cancellation_explorer",
    "check",
    "check_environment",
    "check_quiz",
    "clip_explorer",
    "clipping",
    "compare",
    "dashboard",
    "draw_decoded",
    "draw_rounded",
    "draw_stalls",
    "draw_stochastic",
    "draw_sums",
    "draw_ulp",
    "dtype_audit",
    "dtype_diagram",
    "dtype_explorer",
    "explore",
    "finetuning_runs",
    "get_format",
    "gradient_explorer",
    "gradient_histogram",
    "interval_explorer",
    "loss_curves",
    "masks",
    "master_weight_curves",
    "matmul_errors",
    "number_line",
    "overflow_explorer",
    "overflow_trace",
    "progress",
    "quiz",
    "range_vs_precision",
    "recorded_gradients",
    "results",
    "running_sums",
    "scale_sweep",
    "scaler_explorer",
    "scaler_trace",
    "softmax_explorer",
    "softmax_steps",
    "spacing",
    "split_explorer",
    "splits",
    "step_explorer",
    "steps",
    "stochastic_explorer",
    "stochastic_roundings",
    "sum_explorer",
    "variance_explorer",
    "variances",
]
