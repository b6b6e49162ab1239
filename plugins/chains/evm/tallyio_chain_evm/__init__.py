"""EVM chains over one WebSocket JSON-RPC endpoint.

From the ground up: `websocket` moves messages, `rpc` matches answers to questions, `link` keeps
one checked connection alive, `feed` turns heads into complete blocks, `reads`, `state`, `submit`
and `fees` answer the engine, `client` puts them together. `plugin` is the only entry point.
"""
