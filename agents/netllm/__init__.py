"""Language models as backbones of sequence policies: pretrained ones with LoRA, or a small one from scratch."""
