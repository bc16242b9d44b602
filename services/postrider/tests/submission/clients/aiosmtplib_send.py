"""One mail by aiosmtplib, as a program's form has been set. What refuses it is printed as it came."""
import asyncio
import json
import ssl
import sys
from email.message import EmailMessage

import aiosmtplib

form = json.loads(sys.argv[1])
message = EmailMessage()
message["From"], message["To"], message["Subject"] = form["from"], form["to"], form["subject"]
message.set_content(form["text"], cte="8bit")
signs_in = form["auth"] != "none"

try:
    asyncio.run(
        aiosmtplib.send(
            message,
            hostname=form["host"],
            port=form["port"],
            use_tls=form["tls"] == "implicit",
            start_tls=form["tls"] == "starttls",
            username=form["user"] if signs_in else None,
            password=form["password"] if signs_in else None,
            tls_context=ssl.create_default_context(cafile=form["ca"]),
            timeout=60,
        )
    )
except aiosmtplib.SMTPRecipientsRefused as refused:
    for one in refused.recipients:
        sys.exit(f"{one.code} {one.message}")
except aiosmtplib.SMTPResponseException as refused:
    sys.exit(f"{refused.code} {refused.message}")
