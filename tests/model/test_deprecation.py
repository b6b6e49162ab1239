"""What goes says so for a year."""

from __future__ import annotations

import pluggy
import pytest

from tallyio.model.deprecation import TallyioDeprecationWarning, deprecated, deprecation


def of_nothing() -> None:
    """Do nothing."""


DATES = {"since": "2026-11-28", "until": "2027-11-28"}


def test_a_deprecated_function_works_and_warns_at_its_caller() -> None:
    @deprecated(**DATES, instead="twice")
    def double(value: int) -> int:
        return 2 * value

    with pytest.warns(
        TallyioDeprecationWarning, match=r"double is deprecated since 2026-11-28 and goes"
    ) as said:
        assert double(4) == 8
    assert said[0].filename == __file__
    assert "use twice" in str(said[0].message)


def test_a_deprecated_class_works_and_warns() -> None:
    @deprecated(**DATES, instead="Pair")
    class Couple:
        def __init__(self, one: int, *, other: int) -> None:
            self.sum = one + other

    with pytest.warns(TallyioDeprecationWarning, match="Couple is deprecated"):
        assert Couple(1, other=2).sum == 3


@pytest.mark.parametrize("until", ["2027-11-27", "2026-11-28", "2025-01-01"])
def test_less_than_a_years_notice_is_refused_at_definition(until: str) -> None:
    with pytest.raises(ValueError, match="days after its warning; give 365"):
        deprecated(since="2026-11-28", until=until, instead="x")(of_nothing)


def test_a_hook_and_an_argument_of_one_warn_whoever_implements_them() -> None:
    spec, impl = pluggy.HookspecMarker("toy"), pluggy.HookimplMarker("toy")
    goes = deprecation("the hook toy_old", **DATES, instead="toy_new")
    argument = deprecation("the argument cfg", **DATES, instead="settings")

    class Specs:
        @spec(warn_on_impl=goes)
        def toy_old(self) -> None:
            """Go."""

        @spec(warn_on_impl_args={"cfg": argument})
        def toy_new(self, settings: int, cfg: int) -> None:
            """Stay."""

    class Old:
        @impl
        def toy_old(self) -> None:
            """Implement it."""

    class Half:
        @impl
        def toy_new(self, cfg: int) -> None:
            """Ask for the argument."""

    manager = pluggy.PluginManager("toy")
    manager.add_hookspecs(Specs)
    with pytest.warns(TallyioDeprecationWarning, match="the hook toy_old is deprecated"):
        manager.register(Old())
    with pytest.warns(TallyioDeprecationWarning, match="the argument cfg is deprecated"):
        manager.register(Half())
