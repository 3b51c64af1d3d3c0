"""HRNet's speed and memory beside the peers', in one run, after a check that all compute the same."""
