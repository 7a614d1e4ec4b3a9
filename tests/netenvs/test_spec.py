"""Names with options in brackets."""

import pytest

from netenvs.spec import parse_spec, parse_value, split_specs, unknown_name


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("bba", ("bba", {})),
        (" bba ", ("bba", {})),
        ("bba()", ("bba", {})),
        ("genet(space=udr2,count=50)", ("genet", {"space": "udr2", "count": 50})),
        ("a( x = 0.5 , y = true )", ("a", {"x": 0.5, "y": True})),
        ("a(x=True,y=None,z=null,w=False)", ("a", {"x": True, "y": None, "z": None, "w": False})),
        ("a(x=[1, 2],y=-1e3)", ("a", {"x": [1, 2], "y": -1000.0})),
        ('a(x="3")', ("a", {"x": "3"})),
        ("a(x=b(c=1,d=2))", ("a", {"x": "b(c=1,d=2)"})),
        ("a(x=NaN,y=Infinity)", ("a", {"x": "NaN", "y": "Infinity"})),
        ("a(x=1=2)", ("a", {"x": "1=2"})),
        ("file.py:Name(alpha=-1)", ("file.py:Name", {"alpha": -1})),
    ],
)
def test_parse(text, expected):
    assert parse_spec(text) == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a(x=1", "closing bracket is missing"),
        ("a(x=1) ,", "closing bracket is missing"),
        ("a(x=1)(y=2)", "brackets do not match"),
        ("a(x=[1)", "brackets do not match"),
        ("a(x=1))", "brackets do not match"),
        ("a(x)", "'x' is not of the form key=value"),
        ("a(=1)", "not of the form"),
        ("a(x=)", "not of the form"),
        ("a(x=1,x=2)", "'x' is given twice"),
    ],
)
def test_bad_specs_are_one_line(text, message):
    with pytest.raises(ValueError, match=message) as caught:
        parse_spec(text)
    assert "\n" not in str(caught.value)
    assert text.strip() in str(caught.value)


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("a,b", ["a", "b"]),
        (" a , b(x=1,y=2) ,c[1,2],", ["a", "b(x=1,y=2)", "c[1,2]"]),
        ("a(b(c=1,d=2),e=3),f", ["a(b(c=1,d=2),e=3)", "f"]),
        ("", []),
        (",,", []),
    ],
)
def test_split(text, parts):
    assert split_specs(text) == parts


def test_unknown_names_suggest_the_nearest():
    assert unknown_name("policy", "bbb", ["oracle", "bba"]) == (
        "unknown policy 'bbb'; did you mean 'bba'? known: bba, oracle"
    )
    assert unknown_name("policy", "zzz", ["oracle", "bba"]) == "unknown policy 'zzz'; known: bba, oracle"


def test_values_nested_too_deeply_are_texts():
    assert parse_value("[" * 100_000) == "[" * 100_000
