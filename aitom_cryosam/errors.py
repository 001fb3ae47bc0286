"""The one error a user can cause."""


class InputError(ValueError):
    """A file, option or value that cannot be used: one sentence for the user.

    The sentence says what came, what was expected and what to type. The command line prints
    it on stderr and exits with status 2; anything else that is raised is a defect.
    """
