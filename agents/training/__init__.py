"""What trainings share: a folder that can be continued, optimiser steps, averages of weights, and the model card."""

from agents.training.run import CHECKPOINT, CURVE, Run, command_line

__all__ = ["CHECKPOINT", "CURVE", "Run", "command_line"]
