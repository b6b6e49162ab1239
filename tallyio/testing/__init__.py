"""The test kit: what the tests of a plugin stand on.

Layer: testing. It joins what lies below for tests alone; nothing but tests imports it.
"""

from tallyio.testing.revm_chain import RevmChain as RevmChain
from tallyio.testing.revm_chain import head_at as head_at
