"""The one exception a user is meant to read."""


class FoxnasError(ValueError):
    """Bad input, said to the person who can mend it: what, where (file, key, host, row), what to do."""
