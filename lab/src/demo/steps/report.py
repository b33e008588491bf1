"""Writes the attachments of the one mail in a Maildir into a folder and says what the mail is, as JSON.

usage: report.py MAILDIR FOLDER
"""

import email
import email.policy
import hashlib
import json
import pathlib
import sys

maildir, folder = map(pathlib.Path, sys.argv[1:3])
(path,) = (maildir / "new").iterdir()
message = email.message_from_bytes(path.read_bytes(), policy=email.policy.default)
files = {}
for part in message.iter_attachments():
    content = part.get_payload(decode=True)
    name = pathlib.PurePath(part.get_filename()).name
    (folder / name).write_bytes(content)
    files[name] = hashlib.sha256(content).hexdigest()
told = {name.lower(): message[name] for name in ("Subject", "From", "To", "Message-ID")}
print(json.dumps({**told, "files": files}))
