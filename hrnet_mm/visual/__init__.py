"""What goes into a network, what comes out of its training, and what it sees, as pictures."""
