"""One mail by smtplib, as a program's form has been set. What refuses it is printed as it came."""
import json
import smtplib
import ssl
import sys
from email.message import EmailMessage

form = json.loads(sys.argv[1])
context = ssl.create_default_context(cafile=form["ca"])
message = EmailMessage()
message["From"], message["To"], message["Subject"] = form["from"], form["to"], form["subject"]
message.set_content(form["text"], cte="8bit")

try:
    if form["tls"] == "implicit":
        server = smtplib.SMTP_SSL(form["host"], form["port"], context=context, timeout=60)
    else:
        server = smtplib.SMTP(form["host"], form["port"], timeout=60)
    with server:
        if form["tls"] == "starttls":
            server.starttls(context=context)
        server.ehlo()
        if form["auth"] == "cram-md5":
            server.auth("CRAM-MD5", lambda challenge=None: "")
        elif form["auth"] != "none":
            server.user, server.password = form["user"], form["password"]
            method = {"login": server.auth_login, "plain": server.auth_plain}[form["auth"]]
            server.auth(form["auth"].upper(), method)
        server.send_message(message)
except smtplib.SMTPRecipientsRefused as refused:
    for code, text in refused.recipients.values():
        sys.exit(f"{code} {text.decode()}")
except smtplib.SMTPResponseException as refused:
    sys.exit(f"{refused.smtp_code} {refused.smtp_error.decode()}")
