"""The control API: HTTP and JSON on loopback. README.md documents it."""

from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
from aiohttp import web

from .accounts import Account, Device
from .errors import AccountNotFound, DeviceNotFound, RequestInvalid, SimulatorError
from .groups import MODES, Group
from .server import Service
from .wire.jid import Jid

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Control:
    """The routes, each a thin layer over the service."""

    def __init__(
        self, service: Service, refused_hosts: list[str], addresses: dict[str, str]
    ) -> None:
        self._service = service
        self._refused = refused_hosts
        self._addresses = addresses

    def application(self) -> web.Application:
        """What is served on the control port."""
        application = web.Application(middlewares=[_errors])
        application.router.add_routes(
            [
                web.get("/", self._describe),
                web.get("/accounts", self._list_accounts),
                web.post("/accounts", self._create_account),
                web.get("/accounts/{phone}", self._get_account),
                web.post("/accounts/{phone}/scan", self._scan),
                web.post("/accounts/{phone}/code", self._enter_code),
                web.delete("/accounts/{phone}/devices/{number}", self._remove_device),
                web.post("/accounts/{phone}/messages", self._send_text),
                web.get("/accounts/{phone}/{list:inbox|copies|receipts|failures}", self._list),
                web.get("/accounts/{phone}/identity-changes", self._list_identity_changes),
                web.post("/accounts/{phone}/receipts", self._send_receipt),
                web.patch("/accounts/{phone}", self._configure),
                web.get("/groups", self._list_groups),
                web.post("/groups", self._create_group),
                web.get("/connections", self._list_connections),
                web.get("/faults", self._list_faults),
                web.post("/faults", self._add_fault),
                web.delete("/faults", self._clear_faults),
                web.post("/qr", self._configure_qr),
                web.post("/qr/expire", self._expire_qr),
                web.get("/unknown", self._list_unknown),
                web.get("/refused", self._list_refused),
            ]
        )
        return application

    async def _describe(self, _request: web.Request) -> web.Response:
        return _json(self._addresses)

    async def _list_accounts(self, _request: web.Request) -> web.Response:
        return _json([_account(account) for account in self._service.accounts])

    async def _create_account(self, request: web.Request) -> web.Response:
        body = await _body(request)
        phone = _text(body, "phone")
        if not phone.isdigit():
            raise RequestInvalid("phone: digits only")
        account = self._service.accounts.create(phone, _text(body, "name", ""))
        return _json(_account(account))

    async def _get_account(self, request: web.Request) -> web.Response:
        return _json(_account(self._account(request)))

    async def _list_groups(self, _request: web.Request) -> web.Response:
        return _json([_group(group) for group in self._service.groups])

    async def _create_group(self, request: web.Request) -> web.Response:
        body = await _body(request)
        phones = body.get("members")
        if not isinstance(phones, list) or not phones:
            raise RequestInvalid("members")
        mode = _text(body, "addressing_mode", MODES[0])
        if mode not in MODES:
            raise RequestInvalid("addressing_mode")
        members = [self._find(str(phone)) for phone in phones]
        return _json(_group(self._service.create_group(_text(body, "name", ""), members, mode)))

    async def _scan(self, request: web.Request) -> web.Response:
        account = self._account(request)
        body = await _body(request)
        device = await self._service.pairings.scan(account, _text(body, "qr"))
        return _json(_device(account, device))

    async def _enter_code(self, request: web.Request) -> web.Response:
        account = self._account(request)
        body = await _body(request)
        device = await self._service.codes.enter(account, _text(body, "code"))
        return _json(_device(account, device))

    async def _remove_device(self, request: web.Request) -> web.Response:
        account = self._account(request)
        number = request.match_info["number"]
        device = account.devices.get(int(number)) if number.isdigit() else None
        if device is None:
            raise DeviceNotFound
        self._service.logins.unlink(device)
        return _json(_device(account, device))

    async def _send_text(self, request: web.Request) -> web.Response:
        account = self._account(request)
        body = await _body(request)
        message_id = self._service.phones.send_text(account, _text(body, "to"), _text(body, "text"))
        return _json({"id": message_id})

    async def _send_receipt(self, request: web.Request) -> web.Response:
        account = self._account(request)
        body = await _body(request)
        kind = _text(body, "type", "")
        self._service.phones.send_receipt(account, _text(body, "id"), kind)
        return _json({})

    async def _list(self, request: web.Request) -> web.Response:
        account = self._account(request)
        query = request.query
        try:
            after, count = int(query.get("after", "0")), int(query.get("count", "0"))
            seconds = float(query.get("timeout", "0"))
        except ValueError:
            raise RequestInvalid("after, count, timeout") from None
        name = request.match_info["list"]
        found = await self._service.lists.wait(account, name, after, count, seconds)
        return _json([{"position": at, **msgspec.json.decode(item)} for at, item in found])

    async def _configure(self, request: web.Request) -> web.Response:
        account = self._account(request)
        wanted = (await _body(request)).get("delivery_receipts")
        if not isinstance(wanted, bool):
            raise RequestInvalid("delivery_receipts")
        silent = self._service.phones.silent
        (silent.discard if wanted else silent.add)(account.phone)
        return _json(_account(account))

    async def _list_identity_changes(self, request: web.Request) -> web.Response:
        return _json(self._service.contacts.of(self._account(request)).identity_changes)

    async def _list_connections(self, _request: web.Request) -> web.Response:
        return _json(
            [
                {
                    "id": connection.id,
                    "stage": connection.stage,
                    "phone": connection.device.phone if connection.device else None,
                    "device": connection.device.number if connection.device else None,
                }
                for connection in self._service.connections()
            ]
        )

    async def _list_faults(self, _request: web.Request) -> web.Response:
        return _json(list(self._service.faults))

    async def _add_fault(self, request: web.Request) -> web.Response:
        body = await _body(request)
        phone = body.get("phone")
        if phone is not None:
            self._find(str(phone))
        times = body.get("times", 1)
        args = body.get("args", {})
        if not isinstance(args, dict) or not isinstance(times, int | None):
            raise RequestInvalid("args, times")
        struck = self._service.fault(_text(body, "kind"), phone, args, times)
        return _json({"struck": struck})

    async def _clear_faults(self, request: web.Request) -> web.Response:
        self._service.clear_faults(request.query.get("phone"))
        return _json({})

    async def _configure_qr(self, request: web.Request) -> web.Response:
        refs = (await _body(request)).get("refs")
        if not isinstance(refs, int) or refs < 1:
            raise RequestInvalid("refs")
        self._service.pairings.refs = refs
        return _json({})

    async def _expire_qr(self, request: web.Request) -> web.Response:
        qr = (await _body(request)).get("qr")
        return _json({"expired": self._service.pairings.expire(qr)})

    async def _list_unknown(self, _request: web.Request) -> web.Response:
        return _json(self._service.unknown)

    async def _list_refused(self, _request: web.Request) -> web.Response:
        return _json(self._refused)

    def _account(self, request: web.Request) -> Account:
        return self._find(request.match_info["phone"])

    def _find(self, phone: str) -> Account:
        account = self._service.accounts.by_phone(phone)
        if account is None:
            raise AccountNotFound
        return account


@web.middleware
async def _errors(request: web.Request, handler: Handler) -> web.StreamResponse:
    try:
        return await handler(request)
    except SimulatorError as error:
        return _json({"code": error.code, "detail": error.detail}, error.status)


async def _body(request: web.Request) -> dict[str, Any]:
    try:
        body = msgspec.json.decode(await request.read() or b"{}")
    except msgspec.DecodeError:
        raise RequestInvalid("not JSON") from None
    if not isinstance(body, dict):
        raise RequestInvalid("not a JSON object")
    return body


def _text(body: dict[str, Any], name: str, default: str | None = None) -> str:
    value = body.get(name, default)
    if not isinstance(value, str):
        raise RequestInvalid(name)
    return value


def _json(value: object, status: int = 200) -> web.Response:
    body = msgspec.json.encode(value)
    return web.Response(body=body, status=status, content_type="application/json")


def _account(account: Account) -> dict[str, Any]:
    return {
        "phone": account.phone,
        "name": account.name,
        "jid": str(account.jid),
        "lid": str(account.lid_jid),
        "devices": [_device(account, device) for device in account.devices.values()],
    }


def _group(group: Group) -> dict[str, Any]:
    return {
        "jid": str(group.jid),
        "name": group.name,
        "members": group.members,
        "addressing_mode": group.mode,
    }


def _device(account: Account, device: Device) -> dict[str, Any]:
    jid: Jid = account.jid.on(device.number)
    return {
        "number": device.number,
        "jid": str(jid),
        "lid": str(account.lid_jid.on(device.number)),
        "linked_at": device.linked_at,
    }
