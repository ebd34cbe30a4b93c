"""A bare grpc.aio echo server in a process of its own: what GetSession is measured against."""

import asyncio

import grpc.aio


async def echo(request: bytes, _context: grpc.aio.ServicerContext) -> bytes:
    """Gives back what came."""
    return request


async def main() -> None:
    """Serves on a free port, which is the first line printed."""
    server = grpc.aio.server(options=[("grpc.so_reuseport", 0)])
    handler = grpc.unary_unary_rpc_method_handler(echo)
    server.add_generic_rpc_handlers(
        (grpc.method_handlers_generic_handler("bench.Echo", {"Echo": handler}),)
    )
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    print(port, flush=True)
    await server.wait_for_termination()


if __name__ == "__main__":
    try:
        import uvloop
    except ImportError:
        asyncio.run(main())
    else:
        uvloop.run(main())
