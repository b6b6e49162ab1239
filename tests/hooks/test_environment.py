"""Variables that begin like ours are known, or refused."""

from __future__ import annotations

import pytest

from tallyio.hooks.environment import VARIABLES, check_environment
from tallyio.model.errors import ConfigError


def test_known_variables_and_those_of_others_pass() -> None:
    check_environment([*(each.name for each in VARIABLES), "PATH", "TALLY", "TALLYIO__RUN__PROFILE"])


def test_a_misspelt_variable_is_refused_with_the_right_one() -> None:
    with pytest.raises(
        ConfigError, match=r'TALLYIO_CAHCE \(did you mean "TALLYIO_CACHE"\?\); unset it; known: '
    ):
        check_environment(["TALLYIO_CACHE", "TALLYIO_CAHCE"])
