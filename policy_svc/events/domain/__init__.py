"""What an event is, which policies it concerns, and what a batch of events comes down to."""
