"""A real Postfix in namespaces of its own, and sotp-reporter that sends to it: TLS, greylisting, refusals, names of eight bits.

usage: unshare --mount --net --pid --fork --kill-child --mount-proc python3 postfix.py TREE FOLDER REPORTER

TREE is Debian's package postfix, unpacked. FOLDER has ca.pem, other.pem (another authority), cert.pem, key.pem and data/, in which a report waits to
be sent. What the mail system writes is in memory and goes with the namespaces, its users are known in them alone. Says in JSON what came of each step.
"""

import email
import email.policy
import hashlib
import json
import os
import pathlib
import shutil
import socket
import socketserver
import subprocess
import sys
import threading
import time

tree, folder, reporter = map(pathlib.Path, sys.argv[1:4])
USER, GROUP = 4747, 4748
home = pathlib.Path("/mnt")


def run(*words):
    subprocess.run(words, check=True)


def users():
    """Postfix wants a user and a group of its own: they are in a view of two files that nobody else has."""
    for path, line in (
        ("/etc/passwd", f"postfix:x:{USER}:{USER}::/nonexistent:/usr/sbin/nologin\n"),
        ("/etc/group", f"postfix:x:{USER}:\npostdrop:x:{GROUP}:\n"),
    ):
        name = pathlib.Path(path).name
        known = [one for one in pathlib.Path(path).read_text().splitlines() if not one.startswith(("postfix:", "postdrop:"))]
        (home / name).write_text("\n".join(known) + "\n" + line)
        run("mount", "--bind", home / name, path)


def configure():
    for name, mode, owner, group in (
        [(name, 0o700, USER, USER) for name in "active bounce corrupt defer deferred flush hold incoming private saved trace".split()]
        + [("maildrop", 0o730, USER, GROUP), ("public", 0o710, USER, GROUP), ("pid", 0o755, 0, 0)]
    ):
        place = home / "queue" / name
        place.mkdir(parents=True)
        os.chown(place, owner, group)
        place.chmod(mode)
    for name in ("lib", "boxes"):
        (home / name).mkdir()
        os.chown(home / name, USER, USER)
    (home / "etc").mkdir()
    for name in ("cert.pem", "key.pem"):
        shutil.copy(folder / name, home / name)
    (home / "etc/main.cf").write_text(
        f"""compatibility_level = 3.6
import_environment = MAIL_CONFIG MAIL_LOGTAG LANG=C LD_LIBRARY_PATH
queue_directory = {home}/queue
data_directory = {home}/lib
command_directory = {tree}/usr/sbin
daemon_directory = {tree}/usr/lib/postfix/sbin
shlib_directory = {tree}/usr/lib/postfix
meta_directory = {home}/etc
maillog_file = {home}/log
maillog_file_prefixes = {home}
mail_owner = postfix
setgid_group = postdrop
myhostname = mail.example.net
mydestination =
mynetworks =
alias_maps =
local_recipient_maps =
inet_interfaces = loopback-only
inet_protocols = ipv4
virtual_mailbox_domains = example.net
virtual_mailbox_base = {home}/boxes
virtual_mailbox_maps = static:inbox/
virtual_uid_maps = static:{USER}
virtual_gid_maps = static:{USER}
smtpd_tls_security_level = encrypt
smtpd_tls_received_header = yes
smtpd_tls_cert_file = {home}/cert.pem
smtpd_tls_key_file = {home}/key.pem
smtpd_relay_restrictions = reject_unauth_destination
smtpd_recipient_restrictions = reject_unauth_destination, check_policy_service inet:127.0.0.1:10023
"""
    )
    services = [f"{name} unix - - n - - {name}" for name in "rewrite virtual smtp error verify bounce".split()]
    services[0] = "rewrite unix - - n - - trivial-rewrite"
    services[1] = "virtual unix - n n - - virtual"
    services += [f"{name} unix - - n - 0 bounce" for name in ("defer", "trace")]
    services += ["cleanup unix n - n - 0 cleanup", "qmgr unix n - n 300 1 qmgr", "anvil unix - - n - 1 anvil", "proxymap unix - - n - - proxymap"]
    services += ["tlsmgr unix - - n 1000? 1 tlsmgr", "scache unix - - n - 1 scache", "postlog unix-dgram n - n - 1 postlogd"]
    (home / "etc/master.cf").write_text("\n".join(["2525 inet n - n - - smtpd", *services]) + "\n")


class Greylist(socketserver.StreamRequestHandler):
    """Postfix's protocol of policies, as postgrey speaks it: whoever comes for the first time is to come again."""

    seen = {}
    asked = 0

    def handle(self):
        said = {}
        for line in self.rfile:
            line = line.decode().rstrip("\n")
            if line:
                name, _, value = line.partition("=")
                said[name] = value
                continue
            Greylist.asked += 1
            triple = (said["client_address"], said["sender"], said["recipient"])
            first = Greylist.seen.setdefault(triple, time.monotonic())
            early = time.monotonic() - first < 1
            self.wfile.write(b"action=DEFER_IF_PERMIT Greylisted, come again\n\n" if early else b"action=DUNNO\n\n")
            said = {}


def mails():
    return sorted((home / "boxes/inbox/new").glob("*"))


def arrived(count):
    """What the mail system has in its box, once it has so many."""
    until = time.monotonic() + 30
    while len(mails()) < count and time.monotonic() < until:
        time.sleep(0.05)
    return mails()


def send(name, to, more, data):
    place = folder / f"{name}.yaml"
    place.write_text(
        f"data: {data}\nlanguage: pl\norganisation: Zażółć gęślą jaźń\nmail:\n  server: localhost\n  port: 2525\n"
        f"  from: 'Sieć główna <sotp@example.org>'\n  to: ['{to}']\n  {more}\n"
    )
    done = subprocess.run([reporter, "run", f"--config.file={place}", "--month=2025-10"], capture_output=True, text=True)
    (entry,) = [json.loads(file.read_text()) for file in (folder / data / "outbox").glob("2025-10.json")]
    return {"name": name, "code": done.returncode, "state": entry["state"], "said": done.stdout + done.stderr, "mails": len(mails())}


def read(path):
    message = email.message_from_bytes(path.read_bytes(), policy=email.policy.default)
    files = {part.get_filename(): hashlib.sha256(part.get_payload(decode=True)).hexdigest() for part in message.iter_attachments()}
    received = [str(line) for line in message.get_all("Received")]
    return {"subject": message["subject"], "from": str(message["from"]), "to": str(message["to"]), "files": files, "received": received}


def main():
    run("mount", "-t", "tmpfs", "-o", "mode=0755", "tmpfs", home)
    run("ip", "link", "set", "lo", "up")
    users()
    configure()
    policy = socketserver.ThreadingTCPServer(("127.0.0.1", 10023), Greylist)
    threading.Thread(target=policy.serve_forever, daemon=True).start()
    environment = {**os.environ, "LD_LIBRARY_PATH": str(tree / "usr/lib/postfix")}
    master = subprocess.Popen([tree / "usr/lib/postfix/sbin/master", "-c", home / "etc", "-d"], env=environment, stdin=subprocess.DEVNULL)
    until = time.monotonic() + 30
    while True:
        try:
            socket.create_connection(("127.0.0.1", 2525), 1).close()
            break
        except OSError as error:
            if time.monotonic() > until or master.poll() is not None:
                log = home / "log"
                sys.exit(f"Postfix does not listen: {error}\n{log.read_text() if log.exists() else ''}")
            time.sleep(0.05)
    to = "Zarząd spółki Żółw <zarzad@example.net>"
    ca = f"ca_file: {folder}/ca.pem"
    for copy in ("strange", "plain", "elsewhere"):
        shutil.copytree(folder / "data", folder / copy)
    steps = [
        send("another authority", to, f"ca_file: {folder}/other.pem", "strange"),
        send("without TLS", to, "security: none", "plain"),
        send("greylisted", to, ca, "data"),
    ]
    time.sleep(1.1)
    steps.append(send("come again", to, ca, "data"))
    arrived(1)
    steps.append(send("once more", to, ca, "data"))
    steps.append(send("no relay", "who@example.com", ca, "elsewhere"))
    print((home / "log").read_text(), file=sys.stderr)
    print(json.dumps({"steps": steps, "asked": Greylist.asked, "mails": [read(path) for path in mails()]}))
    master.terminate()


main()
