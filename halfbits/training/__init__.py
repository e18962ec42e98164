"""Training in any precision setting, on any device, with a record of all that happened."""

from halfbits.training.checkpoint import CheckpointError
from halfbits.training.fitting import ADAM, fit
from halfbits.training.measure import bench, matmul_ceiling, matmul_ladder
from halfbits.training.run import Run
from halfbits.training.steps import accuracy, class_loss, train
from halfbits.training.trouble import Divergence, TooLittleMemory

__all__ = [
    "ADAM",
    "CheckpointError",
    "Divergence",
    "Run",
    "TooLittleMemory",
    "accuracy",
    "bench",
    "class_loss",
    "fit",
    "matmul_ceiling",
    "matmul_ladder",
    "train",
]
