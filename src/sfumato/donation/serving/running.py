"""Run a donation server with uvicorn."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sfumato.errors import MissingExtra

if TYPE_CHECKING:
    import uvicorn

__all__ = ["Application", "serve", "uvicorn_server"]

Application = Callable[[Any, Any, Any], Awaitable[None]]
"""An application of ASGI 3, such as :class:`~.DonationApplication`."""


def serve(
    application: Application,
    host: str = "127.0.0.1",
    port: int = 8443,
    *,
    certificate: str | Path | None = None,
    private_key: str | Path | None = None,
    behind_proxy: bool = False,
) -> None:
    """Serve until the process is told to end.

    Parameters
    ----------
    application
        What is served.
    host, port
        Where.
    certificate, private_key
        PEM files for TLS; None where a proxy in front does it.
    behind_proxy
        Whether a proxy on this machine says the clients' addresses. Without one nobody may say
        another's address than his own, by which requests are limited.

    Raises
    ------
    MissingExtra
        If uvicorn is not installed.
    """
    uvicorn_server(
        application,
        host,
        port,
        certificate=certificate,
        private_key=private_key,
        behind_proxy=behind_proxy,
    ).run()


def uvicorn_server(
    application: Application,
    host: str = "127.0.0.1",
    port: int = 8443,
    *,
    certificate: str | Path | None = None,
    private_key: str | Path | None = None,
    behind_proxy: bool = False,
) -> uvicorn.Server:
    """Return the server of :func:`serve`, for who runs it in a loop of his own.

    Requests are not logged, and answers name no software. uvicorn takes httptools and uvloop where
    they are installed; with them a request costs a sixth.

    Raises
    ------
    MissingExtra
        If uvicorn is not installed.
    """
    try:
        import uvicorn
    except ImportError:
        raise MissingExtra("donate", "a donation server") from None
    secure: dict[str, Any] = {}
    if certificate is not None:
        secure = {"ssl_certfile": str(certificate), "ssl_keyfile": private_key and str(private_key)}
    return uvicorn.Server(
        uvicorn.Config(
            application,
            host=host,
            port=port,
            log_level="warning",
            access_log=False,
            server_header=False,
            date_header=False,
            proxy_headers=behind_proxy,
            lifespan="on",
            timeout_keep_alive=30,
            timeout_graceful_shutdown=10,  # else a silent connection holds up the end
            ws="none",
            **secure,
        )
    )
