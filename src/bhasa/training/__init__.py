"""Training: one step, the loop around it, the schedule, and checkpoints that resume to the bit."""
