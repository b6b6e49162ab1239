"""The cards of a signer.

Layer: testing.
"""

from __future__ import annotations

import mmap
import os
import signal
import tempfile
import warnings
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import ClassVar, Final

import numpy as np
import trio
from coincurve import PublicKey

from tallyio.hooks.contract import Kind
from tallyio.hooks.interfaces import Signer, SignerClient
from tallyio.model.errors import SignerError, SignerRefused, UnsafeRefused
from tallyio.model.execution import SignedTransaction, UnsignedTransaction
from tallyio.model.hashing import keccak256
from tallyio.model.transaction import decode, signing_hash
from tallyio.model.units import Address
from tallyio.testing.cards import Cards, card
from tallyio.testing.memory import hits
from tallyio.testing.signing_vectors import ACCOUNT, FORBIDDEN, GOOD, KEY, LIMITS, VECTORS, like_good

CREATE: Final = "create"
DETERMINISTIC: Final = "deterministic"
IMPORT: Final = "import"
PROCESS: Final = "process"
REFUSED: Final = SignerRefused.__name__
_KEY_BYTES: Final = 32
_MOST_S: Final = 60.0

type Uses[T] = Callable[[SignerClient], Awaitable[T]]


class SignerCards(Cards):
    """The cards of a plugin that builds a `Signer`. All keys are made for the test and hold nothing.

    Capabilities: "create" makes keys; "import" signs with a key that the author can put there;
    "deterministic" signs as RFC 6979 says; "process" keeps the key in a process of its own.
    """

    kind: ClassVar[Kind] = "signer"

    def settings(self, folder: Path) -> Mapping[str, object]:
        """Return settings for a signer whose key and memory are in `folder`, an empty one for each card."""
        raise NotImplementedError

    def put_key(self, folder: Path, key: bytes) -> None:
        """Put `key` (32 bytes) where `settings(folder)` point: the signer signs with it. For "import".

        What is signed with a known key is compared, byte by byte, with recorded signatures.
        """
        raise NotImplementedError

    # --- the cards -----------------------------------------------------------------------------

    @card(needs=CREATE)
    def test_k01_a_key_is_made_once(self) -> None:
        """`create` makes a key and tells its account; it never replaces one that is there."""
        with self._folder() as folder:
            account = trio.run(self._signer(folder).create)
            with_it = self._run(folder, _account)
            self.require(
                account == with_it,
                f"`create` told {account.hex()}, the signer says {with_it.hex()}",
                fix="return the account of the key that was written",
            )
            try:
                again = trio.run(self._signer(folder).create)
            except UnsafeRefused:
                return
            self.fail(f"a second `create` made {again.hex()}", fix="raise UnsafeRefused if there is a key")

    @card(needs=IMPORT)
    def test_k02_the_account_is_that_of_the_key(self) -> None:
        """`account` is the address of the key that signs."""
        account, _ = self._signed
        self.require(
            account == ACCOUNT,
            f"the key of {ACCOUNT.hex()} gives {account.hex()}",
            fix="hash the 64 bytes of the public key with Keccak-256, and take the last 20",
        )

    @card(needs=DETERMINISTIC)
    def test_k03_signed_bytes_equal_the_recorded_ones(self) -> None:
        """Byte by byte, a signed transaction is what an independent implementation made of it."""
        for (transaction, recorded), made in zip(VECTORS, self._signed[1], strict=True):
            found = keccak256(made.raw).hex()
            self.require(
                found == recorded,
                f"nonce {transaction.nonce} has the hash {found}, recorded is {recorded}",
                fix="encode by EIP-1559 and sign with RFC 6979, s in the lower half of the order",
            )

    @card()
    def test_k04_what_is_signed_is_what_was_asked(self) -> None:
        """The signed bytes say exactly the transaction that was asked for, and recover to the account."""
        account, signed = self._signed
        for (transaction, _), made in zip(VECTORS, signed, strict=True):
            try:
                said, signature = decode(made.raw)
            except ValueError as error:
                self.fail(f"nonce {transaction.nonce} does not decode: {error}", fix="encode by EIP-1559")
            whole = signature.r.to_bytes(32) + signature.s.to_bytes(32) + bytes([signature.y_parity])
            signer = PublicKey.from_signature_and_message(whole, signing_hash(said), hasher=None)
            found = keccak256(signer.format(compressed=False)[1:])[-20:]
            self.require(
                (said, found, made.sender, made.hash) == (transaction, account, account, keccak256(made.raw)),
                f"{transaction} was asked, {said} is signed by {found.hex()}",
                fix="sign what was asked, and tell sender and hash of it",
            )

    @card()
    def test_k05_what_the_policy_forbids_is_refused(self) -> None:
        """Each transaction beyond the limits raises SignerRefused; the signer then goes on within them."""
        with self._ready() as folder:
            outcomes = self._run(folder, _refused(*(transaction for _, transaction in FORBIDDEN)))
        for (reason, transaction), outcome in zip(FORBIDDEN, outcomes, strict=True):
            self.require(
                outcome == REFUSED,
                f"{reason} ({transaction}) was {outcome}",
                fix="compare every field with `Limits` where the key is, and raise SignerRefused",
            )

    @card()
    def test_k06_a_nonce_is_for_one_transaction(self) -> None:
        """A nonce that was used is signed again for the same content only, also after a restart."""
        other = like_good(gas_limit=GOOD.gas_limit - 1)
        with self._ready() as folder:
            self._run(folder, _signs(GOOD))
            (outcome,) = self._run(folder, _refused(other))
        self.require(
            outcome == REFUSED,
            f"in the next run another transaction of nonce {GOOD.nonce} was {outcome}",
            fix="keep what each nonce was signed for on disk, synced before the signature leaves",
        )

    @card(needs=PROCESS)
    def test_k07_the_engine_never_holds_the_key(self) -> None:
        """No copy of the key is in the memory of the process that asks for signatures."""
        with self._folder() as folder, mmap.mmap(-1, mmap.PAGESIZE) as place:
            _in_a_child(lambda: self._put_secret_key(folder, place))
            start = int(np.frombuffer(place, np.uint8).ctypes.data)
            beside = range(start, start + mmap.PAGESIZE)

            async def search(client: SignerClient) -> int:
                await client.sign(GOOD)
                with memoryview(place) as whole, whole[:_KEY_BYTES] as key:
                    return hits(os.getpid(), {"key": key}, beside=beside)["key"]

            found = self._run(folder, search)
        self.require(
            not found,
            f"{found} copies of the key are in this process",
            fix="open the key in the signer's own process only",
        )

    @card(needs=PROCESS)
    def test_k08_the_process_ends_with_its_block(self) -> None:
        """When `open` ends, so does the signer's process."""
        with self._ready() as folder:
            before = _children()
            running = self._run(folder, _children_now)
            left = _children() - before
        self.require(running - before, "no process was started", fix="start one, or do not declare 'process'")
        self.require(not left, f"process {left} is still there", fix="close and wait for it in `finally`")

    @card(needs=PROCESS)
    def test_k09_a_killed_signer_is_told(self) -> None:
        """If its process is killed, `sign` raises SignerError at once, and every time after."""
        with self._ready() as folder:
            outcomes = self._run(folder, _signs_when_killed(_children()))
        for outcome in outcomes:
            self.require(
                outcome == SignerError.__name__,
                f"`sign` ended with {outcome}",
                fix="turn the end of the process, and an answer that does not come, into SignerError",
            )

    # --- how they are run ----------------------------------------------------------------------

    @property
    def _signed(self) -> tuple[Address, list[SignedTransaction]]:
        """The account, and every recorded transaction as the plugin signs it; made once for all cards."""
        return self.once("signed", self._sign_all)

    def _sign_all(self) -> tuple[Address, list[SignedTransaction]]:
        async def sign(client: SignerClient) -> tuple[Address, list[SignedTransaction]]:
            return client.account, [await client.sign(transaction) for transaction, _ in VECTORS]

        with self._ready() as folder:
            return self._run(folder, sign)

    def _signer(self, folder: Path) -> Signer:
        return self.host.signer(self.plugin, self.settings(folder))

    def _run[T](self, folder: Path, use: Uses[T]) -> T:
        """Open the signer of `folder`, and return what `use` makes of it."""
        signer = self._signer(folder)

        async def run() -> T:
            with trio.fail_after(_MOST_S):
                async with signer.open(LIMITS) as client:
                    return await use(client)

        return self.run(run)

    @contextmanager
    def _folder(self) -> Iterator[Path]:
        with tempfile.TemporaryDirectory(prefix="tallyio-cards-") as name:
            yield Path(name)

    @contextmanager
    def _ready(self) -> Iterator[Path]:
        """Yield a folder with a key in it."""
        with self._folder() as folder:
            if IMPORT in self.contract.capabilities:
                self.put_key(folder, KEY)
            elif CREATE in self.contract.capabilities:
                trio.run(self._signer(folder).create)
            yield folder

    def _put_secret_key(self, folder: Path, place: mmap.mmap) -> None:
        place[:_KEY_BYTES] = os.urandom(_KEY_BYTES)
        self.put_key(folder, place[:_KEY_BYTES])


async def _account(client: SignerClient) -> Address:
    await trio.lowlevel.checkpoint()
    return client.account


async def _children_now(client: SignerClient) -> set[int]:
    await client.sign(GOOD)
    return _children()


def _signs(
    *transactions: UnsignedTransaction,
) -> Callable[[SignerClient], Awaitable[list[SignedTransaction]]]:
    async def sign(client: SignerClient) -> list[SignedTransaction]:
        return [await client.sign(transaction) for transaction in transactions]

    return sign


def _refused(*transactions: UnsignedTransaction) -> Uses[list[str]]:
    async def ask(client: SignerClient) -> list[str]:
        outcomes = [await _outcome(client, transaction) for transaction in transactions]
        await client.sign(GOOD)
        return outcomes

    return ask


def _signs_when_killed(before: set[int]) -> Uses[list[str]]:
    async def ask(client: SignerClient) -> list[str]:
        await client.sign(GOOD)
        for child in _children() - before:
            os.kill(child, signal.SIGKILL)
        return [await _outcome(client) for _ in range(2)]

    return ask


async def _outcome(client: SignerClient, transaction: UnsignedTransaction = GOOD) -> str:
    try:
        await client.sign(transaction)
    except Exception as error:  # noqa: BLE001 - whatever it is, it is what the card tells
        return type(error).__name__
    return "signed"


def _children() -> set[int]:
    tasks = Path("/proc/self/task").glob("*/children")
    return {int(pid) for children in tasks for pid in children.read_text().split()}


def _in_a_child(work: Callable[[], None]) -> None:
    """Do something in a copy of this process, so that what it learns is gone with it."""
    with warnings.catch_warnings():
        # Threads that wait for work hold no lock that the child needs.
        warnings.simplefilter("ignore", DeprecationWarning)
        child = os.fork()
    if child == 0:
        try:
            work()
        except BaseException:  # noqa: BLE001 - told by the exit code; nothing of the parent's may run here
            os._exit(1)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    if status != 0:
        raise RuntimeError("`put_key` failed in a process of its own; call it by hand to see why")
