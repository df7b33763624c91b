"""The options of policies: a dataclass for each panel of the help, which writes what was given into a policy."""
