"""``OnnxPolicy`` under the name that command lines know."""

from agents.export.onnx_policy import OnnxPolicy as OnnxPolicy
