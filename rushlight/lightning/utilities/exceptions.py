"""The exceptions of the trainer."""


class MisconfigurationException(Exception):
    """The model, the data or the arguments don't fit what is asked of the trainer."""


class SIGTERMException(SystemExit):
    """The process was asked to end (SIGTERM); the run stopped at the end of a batch."""


class _TunerExitException(Exception):
    """Ends a run when a tuner has what it wants."""
