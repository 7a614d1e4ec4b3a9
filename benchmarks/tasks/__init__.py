"""What a comparison has to know of each task, a file for each."""
