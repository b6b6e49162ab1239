"""A live bot on a small lending world, and a clock that only tests move.

No strategy but liquidation: whatever the bot does is about the position that a test opens.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from string import Template
from typing import Any, Final

import trio

from tallyio.engine.executor import deployment
from tallyio.hooks.catalog import Catalog
from tallyio.hooks.host import PluginHost
from tallyio.lab import Lab, open_lab
from tallyio.lab.lending.aave import LARGEST_CODE
from tallyio.lab.lending.moves import OUTBID_WEI
from tallyio.lab.recipe import USD_PRICES, units
from tallyio.lab.steps import Transaction
from tallyio.lab.world import CHAIN_ID, OPERATOR, account
from tallyio.model.erc20 import approve, balance_of, transfer
from tallyio.model.errors import EnvironmentFault
from tallyio.model.execution import Call
from tallyio.model.hashing import selector
from tallyio.model.units import Address, Wei, checksum, hex_text
from tests.e2e.harness import GAS_MONEY_WEI, POLL_S, Bot, Running, running
from tests.fault.lending_places import DOLLAR, GAS, Places, build_ground

WAIT_S: Final = 60.0
THINKING_S: Final = 3.0
"""For how long a block waits for the next while the bot neither sends nor writes what is waited for."""

CONFIG: Final = """
[run]
data_dir = "$data_dir"

[chains.lab]
plugin = "evm"
url = "$url"
chain_id = $chain_id
priority_fee_wei = 3000000000
patience_s = 30.0
deadline_s = 30.0

[protocols.uniswap_v2]
venues = [{ name = "v2a", factory = "$v2a_factory", fee_numerator = 997, fee_denominator = 1000 }]

[protocols.uniswap_v3]
venues = [{ name = "v3", factory = "$v3_factory" }]

[protocols.aave_v3]
venues = [{ name = "aave", factory = "$aave_provider" }]

[protocols.morpho_blue]
venues = [{ name = "morpho", factory = "$morpho", markets = [$morpho_markets] }]

[protocols.venus]
venues = [{ name = "venus", comptroller = "$venus_comptroller" }]

[strategies.liquidation]

# Never worth its while; it is here because the program with it is one that other tests compile too.
[strategies.arbitrage]
base_tokens = ["$weth"]
min_profit_wei = 1000000000000000000000000000000

[execution]
native_token = "$weth"
executor = "$executor"
account = "$account"

[limits]
max_fee_gwei = 200.0
max_gas = 4000000
max_reverts = 100

[signers.lab]
plugin = "local_key"
keystore = "$keys/key.json"
password_file = "$keys/password"
scrypt_n = 1024
deadline_s = 30.0
"""


FOLLOWING: Final = """
[feeds]
pending = true
"""


class LendingBot(Bot):
    """A bot that does nothing but liquidate."""

    more = ""
    """Tables besides."""

    def text(self, **facts: str) -> str:
        """Return its configuration."""
        known = {
            **self.lab.world.variables,
            "keys": str(self.folder),
            "data_dir": str(self.data_dir),
            "executor": checksum(self.executor),
            "account": checksum(self.account),
        }
        return Template(CONFIG + self.more).substitute({**known, **facts})


class FollowingBot(LendingBot):
    """One that looks for updates in the mempool too."""

    more = FOLLOWING


class Ground:
    """The world and the bot, from a test's side: it opens positions, moves prices, and reads the ledger."""

    def __init__(self, lab: Lab, bot: LendingBot, run: Running, places: Places) -> None:
        self.lab, self.bot, self.run, self.places = lab, bot, run, places
        self._people = 0

    # --- what happens on the chain

    async def block(self, *transactions: Transaction) -> list[dict[str, Any]]:
        """Mine a block of these and of what waits in the node, the best payers first; return its receipts."""
        return await self.lab._backend.block(transactions)

    async def operate(self, *calls: Call, sender: Address = OPERATOR, gas_limit: int = GAS) -> None:
        """Let somebody make calls in a block. Raises: Reverted."""
        await self.block(*(Transaction(sender=sender, call=call, gas_limit=gas_limit) for call in calls))

    async def somebody(self, **tokens: int) -> Address:
        """Return a new account with gas and so much of some tokens."""
        self._people += 1
        new = account(f"fault borrower {self._people} of {self.bot.account.hex()}")
        await self.lab.fund(new, 10**18)
        await self.operate(*(transfer(self.token(symbol), new, tokens[symbol]) for symbol in tokens))
        return new

    async def rival(self, call: Call) -> Transaction:
        """Return what somebody sends who calls Aave with USDC of his own, and pays for haste."""
        payer = await self.somebody(USDC=self.units("USDC", 10_000))
        amount = await self.balance("USDC", payer)
        await self.operate(approve(self.token("USDC"), call.to, amount), sender=payer)
        return Transaction(sender=payer, call=call, gas_limit=GAS, priority_fee_wei=OUTBID_WEI)

    def token(self, symbol: str) -> Address:
        """Return the address of a token."""
        return self.lab.world.tokens[symbol].address

    async def borrow_aave(self, secured: dict[str, int], **owed: int) -> Address:
        """Return somebody who secures with and borrows so many dollars of each token."""
        amounts = {symbol: self.units(symbol, usd) for symbol, usd in secured.items()}
        person = await self.somebody(**amounts)
        pool = self.places.aave.pool
        for symbol, amount in amounts.items():
            token = self.token(symbol)
            calls = (approve(token, pool.address, amount), pool.call("supply", token, amount, person, 0))
            await self.operate(*calls, sender=person)
        for symbol, usd in owed.items():
            call = pool.call("borrow", self.token(symbol), self.units(symbol, usd), 2, 0, person)
            await self.operate(call, sender=person)
        return person

    async def borrow_venus(self, secured: int, owed: int) -> Address:
        """Return somebody who secures so many dollars of USDC with WETH in Venus."""
        venus, amount = self.places.venus, self.units("WETH", secured)
        person = await self.somebody(WETH=amount)
        vtoken = venus.market("WETH").vtoken
        for call in (
            approve(self.token("WETH"), vtoken.address, amount),
            vtoken.call("mint", amount),
            venus.market_facet.call("enterMarkets", [vtoken.address]),
            venus.market("USDC").vtoken.call("borrow", self.units("USDC", owed)),
        ):
            await self.operate(call, sender=person)
        return person

    async def borrow_morpho(self, market: int, secured: int, owed: int) -> Address:
        """Return somebody who secures so many USDC with an amount of a market's collateral."""
        terms, contract = self.places.markets[market], self.places.morpho.contract
        symbol = ("WETH", "TAXD")[market]
        person = await self.somebody(**{symbol: secured})
        held = await self.balance(symbol, person)
        for call in (
            approve(terms.collateral, contract.address, held),
            contract.call("supplyCollateral", terms.parameters, held, person, b""),
            contract.call("borrow", terms.parameters, owed, 0, person, person),
        ):
            await self.operate(call, sender=person)
        return person

    async def balance(self, symbol: str, holder: Address) -> int:
        """Return what somebody holds of a token."""
        return int.from_bytes(await self.lab.call(balance_of(self.token(symbol), holder)))

    async def venus_price(self, percent: int) -> None:
        """Let Venus's oracle say so many percent of ether's first price."""
        venus = self.places.venus
        price = USD_PRICES["WETH"] * 10**18 * percent // 100
        vtoken = venus.market("WETH").vtoken.address
        await self.operate(venus.oracle.call("setUnderlyingPrice", vtoken, price))

    def units(self, symbol: str, usd: int) -> int:
        """Return how many smallest units of a token are so many dollars at the first price."""
        return units(symbol, usd) if symbol in USD_PRICES else usd * 10**18

    async def funds(self) -> tuple[int, dict[str, int]]:
        """Return what the bot's account has: native currency in wei, and tokens by address."""
        wei = await self.lab.rpc("eth_getBalance", hex_text(self.bot.account), "latest")
        return int(wei, 16), await self.bot.balances()

    async def price(self, symbol: str, percent: int) -> None:
        """Let Aave's feed of a token say so many percent of its first price."""
        usd = USD_PRICES.get(symbol, 1)
        feed = self.places.aave.feeds[symbol].aggregator
        await self.operate(feed.call("post", usd * DOLLAR * percent // 100))

    async def followed(self, call: Call, *, tip_wei: int) -> str:
        """Let the operator send a call, and wait until the bot has sent something after it; none is mined.

        Return the call's hash. It pays so much above the base fee. A bot that just started may not have
        heard of it, so it is sent again.
        """
        sent = Transaction(sender=OPERATOR, call=call, gas_limit=GAS, priority_fee_wei=Wei(tip_wei))
        with trio.fail_after(WAIT_S):
            while True:
                (hash_,) = await self.lab._backend.send((sent,))
                with trio.move_on_after(THINKING_S):
                    while await self.bot.waiting() == 1:  # noqa: ASYNC110 - another process
                        await trio.sleep(POLL_S)
                    return hash_
                await self.lab.rpc("anvil_dropTransaction", hash_)

    async def refusal(self, call: Call, *, sender: Address = OPERATOR) -> str:
        """Return what the node says of a call that must revert in the next block."""
        head = await self.lab.head()
        later = {"time": hex(int(head["timestamp"], 16) + 12), "number": hex(int(head["number"], 16) + 1)}
        asked = {"from": "0x" + sender.hex(), "to": "0x" + call.to.hex(), "data": "0x" + call.data.hex()}
        try:
            await self.lab.rpc("eth_call", asked, "latest", {}, later)
        except EnvironmentFault as error:
            return str(error)
        raise AssertionError("the contract does not refuse it")

    async def reverts(self, call: Call, sender: Address, block: str, error: str) -> bool:
        """Return whether a call fails as of a block with an error of that signature."""
        asked = {"from": "0x" + sender.hex(), "to": "0x" + call.to.hex(), "data": "0x" + call.data.hex()}
        try:
            await self.lab.rpc("eth_call", asked, block)
        except EnvironmentFault as failure:
            assert selector(error).hex() in str(failure), failure  # noqa: PT017 - either answer is one
            return True
        return False

    async def pass_time(self, seconds: int) -> None:
        """Mine blocks until so much time has passed."""
        for _ in range(-(-seconds // 12)):
            await self.lab.mine()

    # --- what the bot did

    async def sent(self) -> str:
        """Wait until exactly one transaction of the bot waits in the node; return its hash."""
        asked = "SELECT hash FROM intents WHERE state = 'submitted' AND success IS NULL"
        await self.soon(lambda: len(self.bot.rows(asked)) == 1)
        return str(self.bot.rows(asked)[0][0])

    async def back_again(self) -> None:
        """Wait until the bot has given the node again what no block took."""
        with trio.fail_after(WAIT_S):
            while not await self.bot.waiting():  # noqa: ASYNC110 - another process
                await trio.sleep(POLL_S)

    def reasons(self, person: Address) -> list[str]:
        """Return why the bot left somebody's position alone, in order."""
        path = f"% liquidation of {checksum(person)} > %"
        asked = "SELECT reason FROM opportunities WHERE gate = 'refused' AND path LIKE ? ORDER BY id"
        return [row[0] for row in self.bot.rows(asked, path)]

    async def told(self, person: Address, reason: str) -> None:
        """Let blocks pass until the ledger's newest reason to leave somebody alone is this."""
        await self.until(lambda: self.reasons(person)[-1:] == [reason])

    def stopped(self, gate: str) -> list[str]:
        """Return why opportunities stopped at a gate, in order."""
        rows = self.bot.rows("SELECT reason FROM opportunities WHERE gate = ? ORDER BY id", gate)
        return [row[0] for row in rows]

    def block_of(self, transaction: str) -> str | None:
        """Return the hash of the block that the ledger has a transaction in."""
        rows = self.bot.rows("SELECT block_hash FROM intents WHERE hash = ?", transaction)
        return None if not rows or rows[0][0] is None else str(rows[0][0])

    async def landed(self, count: int = 1) -> list[dict[str, Any]]:
        """Let blocks pass until `count` more transactions have paid; return what the ledger has of them."""
        asked = (
            "SELECT o.path, o.amount_in, o.predicted, o.simulated, i.realised, i.block_number, i.hash,"
            " i.block_hash"
            " FROM intents i JOIN opportunities o ON o.run = i.run AND o.id = i.opportunity"
            " WHERE i.success = 1 ORDER BY i.id"
        )
        self._known = getattr(self, "_known", 0)
        await self.until(lambda: len(self.bot.rows(asked)) >= self._known + count)
        names = ("path", "amount_in", "predicted", "simulated", "realised", "block", "hash", "hash_of_block")
        rows = self.bot.rows(asked)
        new, self._known = rows[self._known :], len(rows)
        found = [dict(zip(names, row, strict=True)) for row in new]
        for each in found:
            assert each["predicted"] == each["simulated"] == each["realised"]
        return found

    async def soon(self, condition: Callable[[], bool]) -> None:
        """Wait until a condition holds of the ledger, with no block after the newest."""
        with trio.fail_after(WAIT_S):
            while not condition():
                assert not self.run.ended, self.run.said
                await trio.sleep(POLL_S)

    async def until(self, condition: Callable[[], bool]) -> None:
        """Mine blocks until a condition holds of the ledger."""
        with trio.fail_after(WAIT_S):
            while not condition():
                assert not self.run.ended, self.run.said
                await self.lab.mine()
                with trio.move_on_after(THINKING_S):
                    while not (condition() or await self.bot.waiting()):  # noqa: ASYNC110 - another process
                        await trio.sleep(POLL_S)


@asynccontextmanager
async def open_ground(folder: Path) -> AsyncIterator[Ground]:
    """Build the world and run the bot on it."""
    found: list[Places] = []
    async with open_lab(seed=7, recipe=build_ground(found), largest_code=LARGEST_CODE) as lab:
        assert lab.chain_id == CHAIN_ID
        async with open_bot(LendingBot, lab, folder, found[0]) as ground:
            yield ground


@asynccontextmanager
async def open_bot(kind: type[LendingBot], lab: Lab, folder: Path, places: Places) -> AsyncIterator[Ground]:
    """Run a bot of that kind on a world that stands."""
    settings = {
        "keystore": str(folder / "key.json"),
        "password_file": str(folder / "password"),
        "scrypt_n": 1_024,
    }
    owner = await PluginHost(Catalog.scan()).signer("local_key", settings).create()
    await lab.fund(owner, GAS_MONEY_WEI)
    bot = kind(lab, folder, owner, await lab.deploy(deployment(owner)))
    async with running(*bot.live()) as run:
        await run.wait_said("live: ")
        yield Ground(lab, bot, run, places)
        ended = await run.stop()
        assert ended.code == 0, ended.err
