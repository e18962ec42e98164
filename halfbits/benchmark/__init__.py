"""Measure your machine: ``python -m halfbits.benchmark --quick``.

Every precision setting trains the same networks on the same data, each beside fp32. A figure is in
a result only if it was measured there and then; what was not says why. See ``--help``.
"""

from halfbits.benchmark.results import ResultError, published, read_result
from halfbits.benchmark.workloads import WORKLOADS, Workload, workloads

__all__ = ["WORKLOADS", "ResultError", "Workload", "published", "read_result", "workloads"]
