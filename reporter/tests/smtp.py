"""A mail server for tests, made of aiosmtpd: it takes mail over STARTTLS from one user and writes what it took into a folder.

usage: smtp.py FOLDER CERTIFICATE KEY PASSWORD_FILE [tls]

Once it listens, FOLDER/port has its port. What it took is FOLDER/N.eml, with each attachment in FOLDER/N.NAME and the subject in
FOLDER/N.subject and the recipients of its header in FOLDER/N.names, as Python's own e-mail package reads them. FOLDER/mode, read at each mail, says what it does: nothing or "take",
"later" (451), "never" (550), "hang" before it has the mail, "mute": it takes the mail and does not say so.
"""

import asyncio
import email
import email.policy
import hmac
import pathlib
import ssl
import sys

from aiosmtpd.smtp import SMTP, AuthResult, LoginPassword

folder, certificate, key, password = map(pathlib.Path, sys.argv[1:5])
# TLS from the beginning (RFC 8314), in place of STARTTLS.
wrapped = sys.argv[5:] == ["tls"]


def mode():
    try:
        return (folder / "mode").read_text().strip()
    except FileNotFoundError:
        return "take"


class Handler:
    count = 0

    async def handle_RCPT(self, server, session, envelope, address, options):
        if mode() == "later":
            return "451 4.7.1 greylisted, try again"
        if mode() == "never":
            return "550 5.1.1 no such person"
        if mode() == "hang":
            (folder / "hangs").touch()
            await asyncio.sleep(3600)
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):
        Handler.count += 1
        name = folder / str(Handler.count)
        # As those who store mail do: with the line ends of the system.
        stored = envelope.content.replace(b"\r\n", b"\n")
        message = email.message_from_bytes(stored, policy=email.policy.default)
        name.with_suffix(".subject").write_text(message["subject"])
        name.with_suffix(".names").write_text(message["to"])
        name.with_suffix(".to").write_text("\n".join(envelope.rcpt_tos))
        for part in message.iter_attachments():
            (folder / f"{name.name}.{part.get_filename()}").write_bytes(part.get_payload(decode=True))
        # The last one: who waits for it finds the others.
        name.with_suffix(".part").write_bytes(envelope.content)
        name.with_suffix(".part").rename(name.with_suffix(".eml"))
        if mode() == "mute":
            await asyncio.sleep(3600)
        return "250 taken"


def authenticate(server, session, envelope, mechanism, data):
    good = isinstance(data, LoginPassword) and data.login == b"reporter"
    wanted = password.read_bytes().strip()
    good = good and hmac.compare_digest(data.password, wanted)
    # What is not handled is answered by the server itself: 535.
    return AuthResult(success=good, handled=good)


async def main():
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    loop = asyncio.get_running_loop()

    def connection():
        return SMTP(
            Handler(),
            tls_context=None if wrapped else context,
            require_starttls=not wrapped,
            auth_require_tls=not wrapped,
            auth_required=True,
            authenticator=authenticate,
            data_size_limit=64 << 20,
        )

    server = await loop.create_server(connection, "127.0.0.1", 0, ssl=context if wrapped else None)
    port = server.sockets[0].getsockname()[1]
    (folder / "port.new").write_text(str(port))
    (folder / "port.new").rename(folder / "port")
    # It ends with the one who started it, whose end of the pipe closes then.
    await loop.run_in_executor(None, sys.stdin.read)


asyncio.run(main())
