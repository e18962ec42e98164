"""Half the Bits: the library that the course's notebooks import, as ``import halfbits as hb``."""

from halfbits.checking.checks import check
from halfbits.environment import check_environment
from halfbits.formats import FORMATS, Format, get_format
from halfbits.gradients import recorded_gradients
from halfbits.pictures.adam_steps import adam_steps
from halfbits.pictures.amdahl import amdahl, amdahl_explorer
from halfbits.pictures.attempts import draw_decoded, draw_ulp
from halfbits.pictures.attempts_rounding import draw_rounded, draw_stochastic
from halfbits.pictures.attempts_stalls import draw_stalls
from halfbits.pictures.attempts_sums import draw_sums
from halfbits.pictures.audit import dtype_audit
from halfbits.pictures.autocast_rules import autocast_rules
from halfbits.pictures.bits import explore
from halfbits.pictures.cancellation import cancellation_explorer
from halfbits.pictures.cancellation_plot import cancellation
from halfbits.pictures.clipping import clip_explorer, clipping
from halfbits.pictures.dashboard import dashboard
from halfbits.pictures.dtypes import dtype_diagram, dtype_explorer
from halfbits.pictures.gradient_explorer import gradient_explorer, gradient_histogram
from halfbits.pictures.intervals import accuracy_intervals, interval_explorer
from halfbits.pictures.loss_curves import loss_curves
from halfbits.pictures.loss_scale import scaler_explorer, scaler_trace
from halfbits.pictures.masks import masks
from halfbits.pictures.matmul_errors import matmul_errors
from halfbits.pictures.memory_plots import (
    activation_bytes,
    activation_explorer,
    bytes_per_parameter,
)
from halfbits.pictures.numberline import number_line
from halfbits.pictures.overflow_explorer import overflow_explorer, overflow_trace
from halfbits.pictures.plots import range_vs_precision, spacing
from halfbits.pictures.recorded import master_weight_curves, scale_sweep
from halfbits.pictures.results import results
from halfbits.pictures.softmax_explorer import softmax_explorer, softmax_steps
from halfbits.pictures.split_explorer import split_explorer
from halfbits.pictures.splits import splits
from halfbits.pictures.steps import step_explorer, steps
from halfbits.pictures.stochastic import stochastic_explorer, stochastic_roundings
from halfbits.pictures.sums import running_sums, sum_explorer
from halfbits.pictures.tables import compare
from halfbits.pictures.transformer import activation_ranges, finetuning_runs
from halfbits.pictures.variance_explorer import variance_explorer, variances
from halfbits.progress import progress
from halfbits.quizzes.quiz import quiz
from halfbits.quizzes.quiz_check import check_quiz

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
