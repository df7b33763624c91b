"""The command line `transship`: each command parses, makes one call of the SDK, and shows what came back."""
