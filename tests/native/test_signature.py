"""Signatures are read safely and said back in one way."""

# mypy: disable-error-code="no-untyped-call"

import pytest
from numba import types

from tallyio.native.signature import SignatureError, parse, render
from tallyio.native.wide import U128, U256


def test_a_signature_is_read_into_types() -> None:
    read = parse("Tuple(u256, int64)(uint64, UniTuple(float64, 2), u128, boolean)")
    assert read.return_type == types.Tuple([U256, types.int64])
    assert read.args == (types.uint64, types.UniTuple(types.float64, 2), U128, types.boolean)


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("int64( )", "int64()"),
        (" void(int64,u512)", "void(int64, u512)"),
        ("Tuple(u256, u256)(u320)", "UniTuple(u256, 2)(u320)"),
        ("Tuple(UniTuple(int64, 2), boolean)()", "Tuple(UniTuple(int64, 2), boolean)()"),
    ],
)
def test_equal_signatures_have_equal_texts(written: str, said: str) -> None:
    assert render(parse(written)) == said
    assert render(parse(said)) == said


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("u265(int64)", "unknown type 'u265'; did you mean 'u256'?"),
        ("object(int64)", "known are int64"),
        ("Tupel(int64, int64)()", "did you mean 'Tuple'?"),
        ("int64", "lacks its arguments"),
        ("UniTuple(int64, 2)", "lacks its arguments"),
        ("int64(", "is not readable"),
        ("int64(void)", "void argument"),
        ("int64(int64[:])", "'int64[:]' where a type belongs"),
        ("int64(UniTuple(int64))", "not UniTuple(type, count)"),
        ("int64(UniTuple(int64, 0))", "not UniTuple(type, count)"),
        ("int64(UniTuple(2, int64))", "not UniTuple(type, count)"),
        ("int64(x=int64)", "has keywords"),
        ("__import__('os').system('true')(int64)", "where a type belongs"),
    ],
)
def test_a_wrong_signature_is_refused_with_the_part_that_is_wrong(text: str, fault: str) -> None:
    with pytest.raises(SignatureError) as refusal:
        parse(text)
    assert fault in str(refusal.value)
    assert text in str(refusal.value)
