"""Who may ask a page or a server of ours for something, and how much may be sent to it.

Each guard is an ASGI middleware that does one thing; `page_guards` puts together what a page for
one person needs. A refusal is one line of plain text, unless an app has words of its own for it.
"""

import ipaddress
import secrets
from collections.abc import Callable, Collection
from hashlib import sha256
from http.cookies import CookieError, SimpleCookie
from urllib.parse import parse_qsl, urlencode, urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

TOKEN = "token"  # the name of the parameter in the address
Refuse = Callable[[int, str], ASGIApp]  # a status and a sentence become an answer

READING = {"GET", "HEAD", "OPTIONS"}  # methods that change nothing
PAGE_BODY = 1 << 20  # bytes; what our own pages send is far smaller

# Everything comes from the server itself: no other address, no inline script, no frame around it.
PAGE_POLICY = (
    "default-src 'none'; img-src 'self'; style-src 'self'; script-src 'self'; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)


def new_token() -> str:
    """Return a secret of 128 bits for an address."""
    return secrets.token_urlsafe(16)


def plainly(status: int, reason: str) -> ASGIApp:
    """Refuse in one line of plain text."""
    return PlainTextResponse(f"{reason}\n", status)


class AllowedHosts:
    """Refuses requests whose Host is a name that is not ours (421), against DNS rebinding.

    A page elsewhere can have its own name lead to this machine; its requests then carry that name.
    Numeric addresses and localhost cannot be bent so, and are always allowed.
    """

    def __init__(
        self,
        app: ASGIApp,
        names: Collection[str] = (),
        hint: str = "Open the address that the command printed.",
        refuse: Refuse = plainly,
    ) -> None:
        """Guard an app; people reach it by `names`, in any case, and others are told `hint`."""
        self.app, self.hint, self.refuse = app, hint, refuse
        self.names = {"localhost", *(name.lower() for name in names)}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, or refuse."""
        if scope["type"] == "http" and not self._allows(Headers(scope=scope).get("host", "")):
            answer = self.refuse(421, f"This server is not known by that name. {self.hint}")
            return await answer(scope, receive, send)
        return await self.app(scope, receive, send)

    def _allows(self, host: str) -> bool:
        try:
            name = urlsplit(f"//{host}").hostname or ""
        except ValueError:  # an unbalanced bracket
            return False
        if name in self.names:
            return True
        try:
            ipaddress.ip_address(name)
        except ValueError:
            return False
        return True


class SameOrigin:
    """Refuses requests of other sites' pages that would change something (403).

    Browsers say in `Origin` and `Sec-Fetch-Site` where such a request comes from; programs that are
    no browsers say nothing, and carry no cookies that others could misuse.
    """

    def __init__(self, app: ASGIApp, refuse: Refuse = plainly) -> None:
        """Guard an app."""
        self.app, self.refuse = app, refuse

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, or refuse."""
        if scope["type"] == "http" and scope["method"] not in READING:
            headers = Headers(scope=scope)
            if not _is_same_origin(headers):
                answer = self.refuse(403, "Changes are accepted from this server's own pages only.")
                return await answer(scope, receive, send)
        return await self.app(scope, receive, send)


def _is_same_origin(headers: Headers) -> bool:
    origin, site = headers.get("origin"), headers.get("sec-fetch-site")
    if origin is not None:
        return urlsplit(origin).netloc == headers.get("host") != ""
    return site in (None, "same-origin", "none")


class TokenGate:
    """Lets in who knows the token (401): from the address, a cookie, or `Authorization: Bearer`.

    Whoever brings it in the address is given a cookie and sent to the address without it, so that
    it stays out of bookmarks and screenshots. The cookie is also sent with a link from elsewhere
    (SameSite=Lax), which reads a page and cannot change anything.
    """

    def __init__(
        self,
        app: ASGIApp,
        token: str,
        public: Collection[str] = (),
        hint: str = "Open the address that the command printed; it holds a token that lets you in.",
        refuse: Refuse = plainly,
    ) -> None:
        """Guard an app; `public` are paths that anyone may read, `hint` is told to others."""
        self.app, self.token, self.public = app, token, frozenset(public)
        self.hint, self.refuse = hint, refuse
        # Cookies know no port: each server's has a name of its own.
        self.cookie = f"retrain-{sha256(token.encode()).hexdigest()[:12]}"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, or refuse, or swap the token in the address for a cookie."""
        if scope["type"] != "http" or scope["path"] in self.public:
            return await self.app(scope, receive, send)
        query = parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True)
        named = [value for name, value in query if name == TOKEN]
        if named and scope["method"] in READING and self._knows(named[0]):
            rest = urlencode([pair for pair in query if pair[0] != TOKEN])
            answer: Response = RedirectResponse(_own_address(scope, rest), status_code=303)
            answer.set_cookie(self.cookie, self.token, httponly=True, samesite="lax")
            return await answer(scope, receive, send)
        if any(self._knows(said) for said in self._said(Headers(scope=scope))):
            return await self.app(scope, receive, send)
        return await self.refuse(401, self.hint)(scope, receive, send)

    def _knows(self, said: str) -> bool:
        return secrets.compare_digest(said.encode(), self.token.encode())

    def _said(self, headers: Headers) -> list[str]:
        kind, _, bearer = headers.get("authorization", "").partition(" ")
        said = [bearer.strip()] if kind.lower() == "bearer" else []
        try:
            jar = SimpleCookie(headers.get("cookie", ""))
        except CookieError:
            return said
        return [*said, jar[self.cookie].value] if self.cookie in jar else said


def _own_address(scope: Scope, query: str) -> str:
    """Return the path of a request with another query; never the name of another server."""
    raw = scope.get("raw_path") or scope["path"].encode()
    path = "/" + raw.decode("latin-1").lstrip("/")  # `//name/` would lead to another server
    return f"{path}?{query}" if query else path


class SecurityHeaders:
    """Adds what keeps a browser from doing more with an answer than was meant.

    An answer that sets one of these headers itself keeps its own.
    """

    def __init__(self, app: ASGIApp, policy: str = PAGE_POLICY) -> None:
        """Guard an app; `policy` is its Content-Security-Policy."""
        self.app = app
        self.headers = {
            "content-security-policy": policy,
            "x-content-type-options": "nosniff",
            "x-frame-options": "DENY",
            "referrer-policy": "no-referrer",
            "cross-origin-opener-policy": "same-origin",
            "cross-origin-resource-policy": "same-origin",
            "cache-control": "no-store",
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer with these headers."""

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in self.headers.items():
                    headers.setdefault(name, value)
            await send(message)

        await self.app(scope, receive, with_headers if scope["type"] == "http" else send)


class BodyLimit:
    """Refuses requests whose body is longer than allowed (413), with or without a stated length.

    A body without a stated length is counted while it arrives; the app that reads it receives a
    `starlette.exceptions.HTTPException`, which it may answer in a form of its own.
    """

    def __init__(self, app: ASGIApp, limit: int = PAGE_BODY, refuse: Refuse = plainly) -> None:
        """Guard an app; `limit` is in bytes."""
        self.app, self.limit, self.refuse = app, limit, refuse

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, or refuse."""
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        too_long = f"The body of a request must have at most {self.limit} bytes."
        stated = Headers(scope=scope).get("content-length", "0")
        if not (stated.isascii() and stated.isdigit()):
            return await self.refuse(400, "Content-Length must be a number.")(scope, receive, send)
        if int(stated) > self.limit:
            return await self.refuse(413, too_long)(scope, receive, send)
        arrived, started = 0, False

        async def counting() -> Message:
            nonlocal arrived
            message = await receive()
            arrived += len(message.get("body", b""))
            if arrived > self.limit:
                raise HTTPException(413, too_long)
            return message

        async def noting(message: Message) -> None:
            nonlocal started
            started = True
            await send(message)

        try:
            return await self.app(scope, counting, noting)
        except HTTPException as error:
            if started or error.status_code != 413:
                raise
            return await self.refuse(413, too_long)(scope, receive, send)


def page_guards(
    token: str, names: Collection[str] = (), limit: int = PAGE_BODY, policy: str = PAGE_POLICY
) -> list[Middleware]:
    """Return the guards of a page that is for one person, in the order that Starlette wants.

    Args:
        token: that lets a person in.
        names: under which the server is reached, beside localhost and numeric addresses.
        limit: of a request's body, in bytes.
        policy: the Content-Security-Policy.
    """
    return [
        Middleware(SecurityHeaders, policy=policy),
        Middleware(AllowedHosts, names=names),
        Middleware(TokenGate, token=token),
        Middleware(SameOrigin),
        Middleware(BodyLimit, limit=limit),
    ]
