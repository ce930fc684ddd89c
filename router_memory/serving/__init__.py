"""The processes of `router-memory serve`: a parent that holds the address, and workers that answer.

The parent loads neither a model nor a store. It starts the workers, starts one anew that crashed, has all of them take
a new configuration or none, and ends them in order. They talk over a pair of sockets each, see `channel`.
"""
