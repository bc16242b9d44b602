"""Two equal requests at once under one key, as `steps.py` is told and tells. The relay takes long over
the one that comes first."""

import json
import sys
from concurrent.futures import ThreadPoolExecutor

import resend
from resend.exceptions import ResendError

word = json.loads(sys.argv[1])["word"]
mail = {
    "from": "Joe's Garage <joe@joesgarage.example>",
    "to": f"twice-{word}@example.org",
    "subject": "Your car",
    "text": "It is ready.",
}


def send(_):
    try:
        sent = resend.Emails.send(mail, {"idempotency_key": f"twice-{word}"})
        return {"ok": {"id": sent["id"]}}
    except ResendError as error:
        said = {"status": int(error.code), "name": error.error_type, "message": str(error)}
        return {"error": said}


with ThreadPoolExecutor(2) as both:
    for line in both.map(send, range(2)):
        print(json.dumps({"step": "waited" if "error" in line else "first", **line}))
print(json.dumps({"step": "asked_again", **send(None)}))
