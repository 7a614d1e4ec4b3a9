"""What speed is compared with: plain Python loops with the structure of published code, a file for each task."""
