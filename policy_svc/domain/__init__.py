"""What a policy is and what makes one sound."""
