"""What a run of the EVM touched, read out of its journal's debug text."""

from __future__ import annotations

import re
from typing import Any

import msgspec

from tallyio.model.chain import AccountState, StateSlice
from tallyio.model.units import Address, Wei

_ACCOUNT = re.compile(
    r"0x(?P<address>[0-9a-f]{40}): Account \{ info: AccountInfo \{"
    r" balance: (?P<balance>\d+), nonce: (?P<nonce>\d+), code_hash: 0x[0-9a-f]{64},"
    r" code: (?:None|Some\(Bytecode \{ bytecode: 0x(?P<code>[0-9a-f]*), state: (?:Raw|Analysed \{"
    r" len: (?P<size>\d+), jump_map: JumpMap \{ map: \"[0-9a-f]*\" \} \}) \}\)) \},"
    r" storage: \{(?P<storage>(?:\d+: StorageSlot \{[^}]*\}(?:, )?)*)\}, status"
)
_SLOT = re.compile(r"(\d+): StorageSlot \{ previous_or_original_value: (\d+), present_value: (\d+) \}")


class Touched(msgspec.Struct, frozen=True):
    """Accounts and slots that the journal holds, before and now."""

    before: StateSlice
    """Slots only; balances and nonces are the present ones."""
    now: StateSlice


def touched(evm: Any) -> Touched:
    """Return everything that the journal of `evm` holds."""
    before, now = {}, {}
    text = evm.journal_str
    for match in _ACCOUNT.finditer(text):
        address = Address(bytes.fromhex(match["address"]))
        slots = [tuple(map(int, slot)) for slot in _SLOT.findall(match["storage"])]
        now[address] = AccountState(
            balance_wei=Wei(int(match["balance"])),
            nonce=int(match["nonce"]),
            code=_code(match),
            storage={slot: value for slot, _, value in slots},
        )
        before[address] = msgspec.structs.replace(
            now[address], storage={slot: value for slot, value, _ in slots}
        )
    assert len(now) == text.count(": Account {"), "the debug text has another form"
    return Touched(before, now)


def _code(match: re.Match[str]) -> bytes:
    code = bytes.fromhex(match["code"] or "")
    return code if match["size"] is None else code[: int(match["size"])]  # analysed code is padded
