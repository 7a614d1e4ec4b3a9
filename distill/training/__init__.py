"""The training of sequence policies: phases, losses, teachers, and the loop."""
