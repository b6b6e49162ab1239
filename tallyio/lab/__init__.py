"""A world to practise in: real contracts on a local chain.

Layer: lab. The same recipe builds the same world twice: `open_lab` on a real node, which traders
then move block by block, and `build_revm_world` on an EVM inside this process.

Contracts come from `tallyio.lab.fetch.artifact`, by name.

    fetch ─▶ artifact ─▶ recipe ─┬─▶ revm        in this process, for tests
                                 └─▶ node ─▶ lab  on anvil, over JSON-RPC
"""

from tallyio.lab.artifact import Artifact as Artifact
from tallyio.lab.artifact import Contract as Contract
from tallyio.lab.fetch import Progress as Progress
from tallyio.lab.fetch import ensure_fetched as ensure_fetched
from tallyio.lab.lab import Lab as Lab
from tallyio.lab.lab import LabBlock as LabBlock
from tallyio.lab.lab import open_lab as open_lab
from tallyio.lab.progress import show_progress as show_progress
from tallyio.lab.remote import RemoteLab as RemoteLab
from tallyio.lab.remote import open_remote_lab as open_remote_lab
from tallyio.lab.revm import BareWorld as BareWorld
from tallyio.lab.revm import RevmBackend as RevmBackend
from tallyio.lab.revm import RevmWorld as RevmWorld
from tallyio.lab.revm import build_revm_world as build_revm_world
from tallyio.lab.rpc import NodeGone as NodeGone
from tallyio.lab.steps import Reverted as Reverted
from tallyio.lab.steps import Transaction as Transaction
from tallyio.lab.traders import Swap as Swap
from tallyio.lab.world import Pool as Pool
from tallyio.lab.world import V2Venue as V2Venue
from tallyio.lab.world import V3Venue as V3Venue
from tallyio.lab.world import World as World
