"""Robustness evaluation of image classifiers: clean, corrupted and attacked accuracy, with intervals.

>>> import rlnet                                                               # doctest: +SKIP
>>> run = rlnet.evaluate(model, "cifar10", attacks=["autoattack"], corruptions="benchmark",
...                      mean=[0.49, 0.48, 0.45], std=[0.25, 0.24, 0.26])      # doctest: +SKIP
>>> run.table("main")                                                          # doctest: +SKIP

The numbers are computed by the ``rlnet`` program; the model stays in this process, on its own device.
"""

from .evaluation import EvaluationError, evaluate
from .models import Model, ModelError, as_model
from .program import ProgramError
from .run import Run

__all__ = ["EvaluationError", "Model", "ModelError", "ProgramError", "Run", "as_model", "evaluate"]
__version__ = "0.1.0"
