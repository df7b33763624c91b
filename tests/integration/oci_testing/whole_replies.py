"""The HTTP client of these tests."""

import aiohttp


def http_client() -> aiohttp.ClientSession:
    """Reads each body at once, so that no test leaves a connection behind."""
    return aiohttp.ClientSession(middlewares=[_read_whole])


async def _read_whole(request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType) -> aiohttp.ClientResponse:
    response = await handler(request)
    await response.read()
    return response
