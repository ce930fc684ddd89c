"""Another client: `python -m bench.valkey.pinger PORT SECONDS` prints how many milliseconds PINGs took."""

from __future__ import annotations

import json
import socket
import sys
import time

import numpy as np

_PAUSE = 0.0005
_PING = b"*1\r\n$4\r\nPING\r\n"


def main(port: int, seconds: float) -> None:
    """Pings the server on a loopback port, one PING at a time."""
    taken = []
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            began = time.perf_counter()
            connection.sendall(_PING)
            connection.recv(64)
            taken.append(time.perf_counter() - began)
            time.sleep(_PAUSE)
    milliseconds = np.array(taken) * 1e3
    names = {"p50": 50, "p99": 99, "p99.9": 99.9, "worst": 100}
    print(json.dumps({name: round(float(np.percentile(milliseconds, at)), 3) for name, at in names.items()}))


if __name__ == "__main__":
    main(int(sys.argv[1]), float(sys.argv[2]))
