"""What a real server replied, so that building queries and reading replies are tested where there is no server.

`python -m tests.recorded.record` starts servers of its own and records everything anew; do so when the layout of keys
or commands changes. `replies.json` names the versions it was recorded with. Bytes are base64, maps are lists of pairs.
"""
