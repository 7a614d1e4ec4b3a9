"""What is known of each built-in task, a folder each; see ``distill.recipe``."""
