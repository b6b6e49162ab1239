"""The engine's side of the signer process."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated, Self

import msgspec
import trio
from coincurve import PublicKey

from tallyio.hooks.interfaces import Limits, Settings, Signatures
from tallyio.hooks.settings import parse_settings
from tallyio.model.errors import ConfigError, EnvironmentFault, SignerError, SignerRefused, UnsafeRefused
from tallyio.model.execution import SignedTransaction, UnsignedTransaction
from tallyio.model.hashing import keccak256
from tallyio.model.transaction import encode_signed, signing_hash, transaction_hash
from tallyio.model.units import Address, checksum
from tallyio_signer_local_key.frames import (
    LENGTH_BYTES,
    Answer,
    Failed,
    Ready,
    Request,
    Setup,
    Sign,
    Signed,
    body_length,
    pack,
)
from tallyio_signer_local_key.keystore import SCRYPT_N

RECEIVE_BYTES = 1 << 16
AGAIN = "start again: what is open in the ledger is taken over first"


Seconds = Annotated[float, msgspec.Meta(gt=0, le=3_600)]


class KeySettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[signers.NAME]`."""

    keystore: str
    """Version 3 key file; relative paths start at the working directory."""
    password_file: str
    """File that holds the password, mode 0600. The signer process reads it, the engine does not."""
    start_deadline_s: Seconds = 60.0
    """Opening takes about a second: scrypt is slow on purpose."""
    deadline_s: Seconds = 2.0
    """For one message, with all its signatures."""
    scrypt_n: Annotated[int, msgspec.Meta(ge=2)] = SCRYPT_N
    """Work factor of keys that are created here, a power of two."""


class LocalKey:
    """A signer whose key is in an encrypted file."""

    def __init__(self, settings: KeySettings) -> None:
        self._settings = settings

    @classmethod
    def from_settings(cls, settings: Settings) -> Self:
        """Parse the plugin's table. Raises: ConfigError."""
        parsed = parse_settings(KeySettings, settings, where="signers")
        return cls(
            msgspec.structs.replace(
                parsed,
                keystore=str(Path(parsed.keystore).expanduser().resolve()),
                password_file=str(Path(parsed.password_file).expanduser().resolve()),
            )
        )

    async def create(self) -> Address:
        """Make a new key where the settings point, in a process of its own; return its account.

        A missing password file is made too. Raises: UnsafeRefused: a key is there already, or the password
        is empty. ConfigError: `scrypt_n` is none. EnvironmentFault: a file cannot be written.
        """
        settings = self._settings
        arguments = [settings.keystore, settings.password_file, str(settings.scrypt_n)]
        done = await trio.run_process(
            [*_module("create"), *arguments], capture_stdout=True, capture_stderr=True, check=False
        )
        reason = done.stderr.decode().strip()
        for refusal in (UnsafeRefused, ConfigError):
            if done.returncode == refusal.exit_code:
                raise refusal(f"no key was created: {reason}")
        if done.returncode != 0:
            raise EnvironmentFault(
                f"no key was created in {settings.keystore}: {reason}",
                way_out="mend that and ask again: nothing half-made is left",
            )
        return Address(bytes.fromhex(done.stdout.decode()))

    @asynccontextmanager
    async def open(self, limits: Limits) -> AsyncIterator[LocalKeyClient]:
        """Start the process, open the key, serve until the block ends.

        Raises: ConfigError: the key cannot be opened. UnsafeRefused: another signer holds it.
        """
        ours, theirs = socket.socketpair()
        with theirs:
            process = await trio.lowlevel.open_process(
                _module("process"),
                stdin=theirs.fileno(),
                stdout=subprocess.DEVNULL,
                start_new_session=True,  # Ctrl-C is the engine's: it closes the socket in order
                env={name: os.environ[name] for name in ("PATH", "LANG", "HOME") if name in os.environ},
            )
        channel = Channel(trio.SocketStream(trio.socket.from_stdlib_socket(ours)), process)
        try:
            yield LocalKeyClient(channel, await self._set_up(channel, limits), self._settings.deadline_s)
        finally:
            with trio.CancelScope(shield=True, deadline=trio.current_time() + 5):
                await channel.close()

    async def _set_up(self, channel: Channel, limits: Limits) -> Address:
        settings = self._settings
        setup = Setup(
            keystore=settings.keystore,
            password_file=settings.password_file,
            limits=limits,
        )
        answer = await channel.ask(setup, settings.start_deadline_s)
        if isinstance(answer, Failed):
            raise (UnsafeRefused if answer.unsafe else ConfigError)(f"the signer: {answer.reason}")
        if not isinstance(answer, Ready):
            raise SignerError(f"the signer answered the set-up with {type(answer).__name__}")
        return answer.account


class Channel:
    """One question at a time over the socket; the end of the process becomes an error with its reason."""

    def __init__(self, stream: trio.SocketStream, process: trio.Process) -> None:
        self._stream = stream
        self._process = process
        self._turn = trio.Lock()
        self._broken = False

    @property
    def pid(self) -> int:
        """The signer's process id."""
        return self._process.pid

    async def ask(self, request: Request, deadline_s: float) -> Answer:
        """Send `request`, return the answer.

        Raises: SignerError: the process is gone, late or talks nonsense; then it stays broken.
        """
        try:
            self._turn.acquire_nowait()  # no round of the loop before the question is out
        except trio.WouldBlock:
            await self._turn.acquire()  # one question at a time, so an answer is never followed by another
        try:
            return await self._exchange(request, deadline_s)
        finally:
            self._turn.release()

    async def close(self) -> None:
        """Close the socket, which ends the process; kill it if it does not."""
        await self._stream.aclose()
        with trio.move_on_after(2):
            await self._process.wait()
        if self._process.returncode is None:
            self._process.kill()
            await self._process.wait()

    async def _exchange(self, request: Request, deadline_s: float) -> Answer:
        if self._broken:
            raise SignerError(await self._epitaph(), way_out=AGAIN)
        # An answer that comes after its deadline would be taken for the next one's: one failure is final.
        self._broken = True
        try:
            with trio.fail_after(deadline_s):
                await self._stream.send_all(pack(request))
                answer: Answer = msgspec.json.decode(await self._receive(), type=Answer)
        except trio.TooSlowError:
            raise SignerError(f"the signer did not answer within {deadline_s} s", way_out=AGAIN) from None
        except (trio.BrokenResourceError, EOFError):
            raise SignerError(await self._epitaph(), way_out=AGAIN) from None
        except (msgspec.MsgspecError, ValueError) as error:
            raise SignerError(f"the signer answered nonsense: {error}") from None
        self._broken = False
        return answer

    async def _receive(self) -> bytes:
        """Return the next answer; one that arrives whole takes one look at the socket."""
        waiting, wanted = b"", LENGTH_BYTES
        while len(waiting) < wanted:
            part = await self._stream.receive_some(RECEIVE_BYTES)
            if not part:
                raise EOFError
            waiting += part
            if len(waiting) >= LENGTH_BYTES:
                wanted = LENGTH_BYTES + body_length(waiting[:LENGTH_BYTES])
        return waiting[LENGTH_BYTES:]

    async def _epitaph(self) -> str:
        with trio.move_on_after(1):
            await self._process.wait()
        code = self._process.returncode
        how = "is gone" if code is None else f"ended with exit code {code}"
        return f"the signer process {how}; nothing was signed since"


class LocalKeyClient:
    """A running signer."""

    def __init__(self, channel: Channel, account: Address, deadline_s: float) -> None:
        self._channel = channel
        self._account = account
        self._deadline_s = deadline_s

    @property
    def account(self) -> Address:
        """Whose key it holds."""
        return self._account

    @property
    def pid(self) -> int:
        """The signer's process id, for those who watch processes."""
        return self._channel.pid

    async def sign(self, transaction: UnsignedTransaction) -> SignedTransaction:
        """Sign within the policy. Raises: SignerRefused, SignerError."""
        made = await self.sign_all([transaction])
        if made.fault is not None:
            raise made.fault
        return made.signed[0]

    async def sign_all(self, transactions: Sequence[UnsignedTransaction]) -> Signatures:
        """Sign in order within the policy, with one message there and one back."""
        try:
            answer = await self._channel.ask(Sign(transactions=tuple(transactions)), self._deadline_s)
            return self._read(transactions, answer)
        except SignerError as error:
            # Whether the process has signed them, and keeps their nonces for that, nobody can say.
            return Signatures(signed=(), fault=error, doubtful=len(transactions))

    def _read(self, transactions: Sequence[UnsignedTransaction], answer: Answer) -> Signatures:
        """Return what `answer` brings, every signature checked. Raises: SignerError."""
        if not isinstance(answer, Signed):
            raise SignerError(f"the signer answered a request to sign with {type(answer).__name__}")
        made = answer.signatures
        if len(made) > len(transactions) or (len(made) < len(transactions)) != bool(answer.refused):
            raise SignerError(
                f"the signer answered {len(transactions)} transactions with {len(made)} signatures"
            )
        try:
            signed = tuple([self._assembled(*pair) for pair in zip(transactions, made, strict=False)])
        except ValueError as error:
            raise SignerError(f"the signer returned no signature: {error}") from None
        refused = SignerRefused(f"the signer refuses: {answer.refused}") if answer.refused else None
        return Signatures(signed=signed, fault=refused)

    def _assembled(self, transaction: UnsignedTransaction, signature: bytes) -> SignedTransaction:
        """Return what was asked, signed: a signature that is not ours, or not over it, is not believed."""
        public = PublicKey.from_signature_and_message(signature, signing_hash(transaction), hasher=None)
        sender = Address(keccak256(public.format(compressed=False)[1:])[-20:])
        if sender != self._account:
            raise SignerError(f"the signer returned a signature that is not one of {checksum(self._account)}")
        r, s = int.from_bytes(signature[:32]), int.from_bytes(signature[32:64])
        raw = encode_signed(transaction, signature[64], r, s)  # refuses what is not canonical
        return SignedTransaction(unsigned=transaction, sender=sender, raw=raw, hash=transaction_hash(raw))


def _module(name: str) -> list[str]:
    return [sys.executable, "-m", f"tallyio_signer_local_key.{name}"]
