"""Find out what the configured pools are, and refuse those that are not quoted, with the reason."""

from __future__ import annotations

from typing import Final

from tallyio.hooks.interfaces import ChainReader
from tallyio.model.chain import Head
from tallyio.model.errors import ChainError
from tallyio.model.execution import Call
from tallyio.model.market import LogSource, PoolSpec
from tallyio.model.units import ADDRESS_BYTES, Address, checksum
from tallyio.model.words import WORD, address_word, unsigned
from tallyio_protocol_balancer_v3 import abi
from tallyio_protocol_balancer_v3.settings import WHERE, Facts

VENUE: Final = "balancer v3"

_QUESTIONS: Final = 5
_TOKENS: Final = 1
_DATA_WORDS: Final = 8
_CONFIG_WORDS: Final = 13
_FEE: Final = 4
_HOOK_WORDS: Final = 11
_SWAP_HOOKS: Final = {
    0: "adjusts amounts",
    3: "sets the fee of each swap",
    4: "is called before swaps",
    5: "is called after swaps",
}
"""By the place of the flag in the Vault's answer."""
_PIPS: Final = 10**12


async def find_pools(chain: ChainReader, facts: Facts, *, block: Head) -> list[PoolSpec]:
    """Return the configured pools.

    Raises: ChainError: one is unknown to the Vault, has a hook that takes part in swaps, or is neither
    weighted nor stable.
    """
    calls = [call for pool in facts.pools for call in _questions(facts.vault, pool)]
    answers = await chain.call(calls, block=block.hash)
    return [
        _spec(facts.vault, pool, answers[_QUESTIONS * k : _QUESTIONS * (k + 1)])
        for k, pool in enumerate(facts.pools)
    ]


def _questions(vault: Address, pool: Address) -> tuple[Call, ...]:
    return (
        abi.about(vault, abi.POOL_DATA, pool),
        abi.about(vault, abi.POOL_CONFIG, pool),
        abi.about(vault, abi.HOOKS_CONFIG, pool),
        Call(to=pool, data=abi.WEIGHTS),
        Call(to=pool, data=abi.AMP),
    )


def _spec(vault: Address, pool: Address, answers: list[bytes | None]) -> PoolSpec:
    data, config, hooks, weights, amp = answers
    data = abi.words(data, _DATA_WORDS, vault)
    hooks = abi.words(hooks, _HOOK_WORDS, vault)
    for place, does in _SWAP_HOOKS.items():
        if unsigned(hooks, place):
            raise _refused(pool, f"has a hook that {does}")
    if bool(weights) == bool(amp):
        raise _refused(pool, "is neither weighted nor stable")
    tokens = abi.array(data, WORD, _TOKENS, vault)
    return PoolSpec(
        address=pool,
        tokens=tuple(Address(token.to_bytes(ADDRESS_BYTES)) for token in tokens),
        venue=VENUE,
        fee_pips=unsigned(abi.words(config, _CONFIG_WORDS, vault), _FEE) // _PIPS,
        can_flash=True,
        log_sources=(LogSource(vault, address_word(pool)), LogSource(pool)),
        ages=True,
    )


def _refused(pool: Address, reason: str) -> ChainError:
    return ChainError(f"pool {checksum(pool)} {reason}", way_out=f"leave it out of [{WHERE}] pools")
