"""Experience pools and distillation."""
