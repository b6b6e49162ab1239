"""The ledger's tables.

Layer: ledger. Amounts are decimal text (SQLite integers end at 64 bits); hashes and addresses are
lower-case hex text, so that a person can read the file with any SQLite tool.
"""

from __future__ import annotations

from typing import Final

VERSION: Final = 1

SCHEMA: Final = """
CREATE TABLE runs (
    id          INTEGER PRIMARY KEY,
    started_at  TEXT NOT NULL,
    mode        TEXT NOT NULL CHECK (mode IN ('paper', 'live')),
    chain_id    INTEGER NOT NULL,
    account     TEXT NOT NULL,
    record      TEXT NOT NULL,      -- JSON: plugins with versions, placement, profile
    ended_at    TEXT,
    outcome     TEXT                -- how it ended, in words
) STRICT;

CREATE TABLE opportunities (
    run          INTEGER NOT NULL REFERENCES runs (id),
    id           INTEGER NOT NULL,
    strategy     TEXT NOT NULL,
    block_number INTEGER NOT NULL,
    block_hash   TEXT NOT NULL,
    path         TEXT NOT NULL,     -- in words, for people
    token        TEXT NOT NULL,
    amount_in    TEXT NOT NULL,
    predicted    TEXT NOT NULL,     -- profit in smallest units of the token
    simulated    TEXT,
    net_wei      REAL NOT NULL,
    gate         TEXT,              -- what stopped it; NULL while it lives or when it landed
    reason       TEXT,
    PRIMARY KEY (run, id)
) STRICT;

CREATE TABLE intents (
    id             INTEGER PRIMARY KEY,
    run            INTEGER NOT NULL REFERENCES runs (id),
    opportunity    INTEGER NOT NULL,
    chain_id       INTEGER NOT NULL,
    account        TEXT NOT NULL,
    nonce          INTEGER NOT NULL,
    signing_hash   TEXT NOT NULL,   -- what is signed: one nonce, one content
    token          TEXT NOT NULL,   -- what it earns, and how much it must earn
    predicted      TEXT NOT NULL,
    unsigned       BLOB NOT NULL,   -- JSON of the transaction before its signature
    raw            BLOB,            -- the signed bytes, written before they are sent
    hash           TEXT,
    deadline_block INTEGER NOT NULL,
    state          TEXT NOT NULL CHECK (state IN ('reserved', 'signed', 'submitted', 'settled', 'released')),
    block_number   INTEGER,
    block_hash     TEXT,
    success        INTEGER,
    gas_used       INTEGER,
    gas_price_wei  TEXT,
    realised       TEXT             -- profit that the chain confirms, in smallest units of the token
) STRICT;

-- A nonce belongs to one transaction for ever, unless that transaction was never signed.
CREATE UNIQUE INDEX one_transaction_per_nonce ON intents (chain_id, account, nonce) WHERE state <> 'released';
"""
