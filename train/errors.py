"""What can be wrong with what the user gave: each says where, and what to do."""


class TrainError(Exception):
    """Training cannot go on with what was given."""


class DataError(TrainError):
    """The labelled text cannot be trained on as it stands."""


class BaseModelError(TrainError):
    """The base model cannot be loaded."""
