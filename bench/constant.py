"""The least that an HTTP API in Python costs: FastAPI answers a constant, in the server that ours runs in."""

import asyncio
import socket
import sys

from fastapi import FastAPI, Response

from service.api.server import http_server

_BODY = b'{"status":"SUCCESS"}'


def main(port: int) -> None:
    """Serve until terminated."""
    app = FastAPI(openapi_url=None)

    @app.get("/")
    async def constant() -> Response:
        return Response(_BODY, media_type="application/json")

    with socket.create_server(("127.0.0.1", port)) as listener:
        asyncio.run(http_server(app, "127.0.0.1", port).serve([listener]))


if __name__ == "__main__":
    main(int(sys.argv[1]))
