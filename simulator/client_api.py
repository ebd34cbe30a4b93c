"""Calls of the control API over HTTP."""

import http.client
import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

from .errors import BY_CODE, NotRunning, SimulatorError

_CALL_SECONDS = 90.0
_OK = 200


class Api:
    """A client; one connection per call, so it is thread-safe."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._address = (parts.hostname or "127.0.0.1", parts.port or 80)

    def get(self, *path: str, **query: object) -> Any:
        """Ask for something."""
        return self._call("GET", path, query=query)

    def post(self, *path: str, **body: object) -> Any:
        """Do something."""
        return self._call("POST", path, body=body)

    def patch(self, *path: str, **body: object) -> Any:
        """Change something."""
        return self._call("PATCH", path, body=body)

    def delete(self, *path: str, **query: object) -> Any:
        """Remove something."""
        return self._call("DELETE", path, query=query)

    def _call(
        self,
        method: str,
        path: tuple[str, ...],
        *,
        query: Mapping[str, object] | None = None,
        body: Mapping[str, object] | None = None,
    ) -> Any:
        target = "/" + "/".join(quote(part, safe="") for part in path)
        if query:
            target += "?" + urlencode({k: v for k, v in query.items() if v is not None})
        payload = None if body is None else json.dumps(body).encode()
        connection = http.client.HTTPConnection(*self._address, timeout=_CALL_SECONDS)
        try:
            connection.request(method, target, payload)
            response = connection.getresponse()
            answer = json.loads(response.read() or b"null")
        except (OSError, http.client.HTTPException) as error:
            raise NotRunning from error
        finally:
            connection.close()
        if response.status != _OK:
            raise BY_CODE.get(answer.get("code", ""), SimulatorError)(answer.get("detail", ""))
        return answer
