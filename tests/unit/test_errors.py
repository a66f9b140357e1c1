"""What an error says."""

from stream.errors import FatalError, UnexpectedError

SECRET = "주민번호팔공일이"


def fails() -> None:
    try:
        raise ValueError(SECRET)
    except ValueError as error:
        raise RuntimeError(f"cannot read {SECRET}") from error


def test_what_nobody_foresaw_is_told_without_its_words() -> None:
    """Class and places are named, neither the message nor that of the cause."""
    try:
        fails()
    except RuntimeError as error:
        told = UnexpectedError.of(error)

    assert isinstance(told, FatalError)
    assert "RuntimeError, raised at" in str(told)
    assert " in fails" in str(told)
    assert SECRET not in repr(told) + str(told)
