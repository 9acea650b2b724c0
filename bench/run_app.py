"""Run an ASGI application on an inherited listening socket, as `pricebook serve` does.

`uvicorn --fd` takes every socket for a Unix one, and so leaves Nagle's algorithm on, which delays responses by 40 ms.
"""

import socket
import sys

import uvicorn


def main(application: str, descriptor: int, *, factory: bool) -> None:
    config = uvicorn.Config(
        application, factory=factory, loop="uvloop", http="httptools", log_level="warning", access_log=False
    )
    uvicorn.Server(config).run(sockets=[socket.socket(fileno=descriptor)])


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), factory=sys.argv[1] == "bench.meter:app")
