"""The steps of the story with the official SDK for Python, told its base URL by RESEND_API_URL and its
key by RESEND_API_KEY, as anybody would. Prints one line of JSON for each: {"step","ok"} with what the
SDK gave, or {"step","error"} with what it raised. What else it needs comes as JSON in argv[1]."""

import base64
import json
import os
import sys
import time

import resend
from resend.exceptions import ResendError

given = json.loads(sys.argv[1])
word = given["word"]
sender = "Joe's Garage <joe@joesgarage.example>"


def to(who):
    return f"{who}-{word}@example.org"


def mail(who, **more):
    return {"from": sender, "to": who, "subject": "Your car", "text": "It is ready.", **more}


def step(name, ask, *asked):
    try:
        answer = {key: value for key, value in ask(*asked).items() if key != "http_headers"}
        line = {"step": name, "ok": answer}
    except ResendError as error:
        answer = None
        said = {"status": int(error.code), "name": error.error_type, "message": str(error)}
        line = {"step": name, "error": {**said, "class": type(error).__name__}}
    print(json.dumps(line), flush=True)
    return answer


def as_key(key, name, ask, *asked):
    own, resend.api_key = resend.api_key, key
    answer = step(name, ask, *asked)
    resend.api_key = own
    return answer


def once(id, event):
    end = time.monotonic() + 30
    while resend.Emails.get(id)["last_event"] != event and time.monotonic() < end:
        time.sleep(0.05)


def sending():
    step("short", resend.Emails.send, mail(to("short")))
    full = step(
        "full",
        resend.Emails.send,
        {
            "from": sender,
            "to": [to("ann"), f"Bo, Müller <{to('bo')}>"],
            "cc": to("cc"),
            "bcc": [to("bcc")],
            "reply_to": given["reply_to"],
            "subject": "Grüße 😀",
            "html": "<p>It is <b>ready</b>.</p>",
            "text": "It is ready.",
            "tags": [{"name": "kind", "value": "estimate"}, {"name": "word", "value": word}],
            "headers": {"X-Entity-Ref-ID": word},
        },
    )
    once(full["id"], "delivered")
    step("get", resend.Emails.get, full["id"])
    step("cancel_delivered", resend.Emails.cancel, full["id"])


def attaching():
    data = bytes(given["bytes"])
    files = [
        {"filename": "list.bin", "content": list(data)},
        {"filename": "text.bin", "content": base64.b64encode(data).decode()},
        {"filename": "lines.bin", "content": base64.encodebytes(data).decode(), "content_type": "application/x-lines"},
        {"filename": "logo.png", "content": list(data), "inline_content_id": "logo"},
    ]
    html = '<img src="cid:logo">'
    sent = step("attach", resend.Emails.send, mail([to("files")], html=html, attachments=files))
    step("attachments", resend.Emails.Attachments.list, sent["id"])
    path = [{"filename": "a.txt", "path": "https://files.example/a.txt"}]
    step("attach_path", resend.Emails.send, mail(to("path"), attachments=path))


def batching():
    step("batch", resend.Batch.send, [mail([to(who)]) for who in ("b0", "b1", "b2")])
    bad = [mail([to("b3")]), mail(["bob@"]), mail([to("b4")])]
    step("batch_strict", resend.Batch.send, bad)
    step("batch_permissive", resend.Batch.send, bad, {"batch_validation": "permissive"})
    key = {"idempotency_key": f"batch-{word}"}
    pair = [mail(to("b5")), mail(to("b6"))]
    step("batch_once", resend.Batch.send, pair, key)
    step("batch_again", resend.Batch.send, pair, key)


def repeating():
    key = {"idempotency_key": f"order/{word}"}
    step("once", resend.Emails.send, mail(to("once")), key)
    step("again", resend.Emails.send, mail(to("once")), key)
    step("other", resend.Emails.send, {**mail(to("once")), "subject": "Another car"}, key)


def scheduling():
    later = mail(to("later"), scheduled_at=given["in_an_hour"])
    id = step("schedule", resend.Emails.send, later)["id"]
    change = {"id": id, "scheduled_at": given["in_two_hours"]}
    step("scheduled", resend.Emails.get, id)
    step("update", resend.Emails.update, change)
    step("updated", resend.Emails.get, id)
    step("cancel", resend.Emails.cancel, id)
    step("cancelled", resend.Emails.get, id)
    step("cancel_again", resend.Emails.cancel, id)
    step("update_cancelled", resend.Emails.update, change)
    words = step("schedule_words", resend.Emails.send, mail(to("words"), scheduled_at="in 1 min"))
    step("scheduled_words", resend.Emails.get, words["id"])
    step("cancel_words", resend.Emails.cancel, words["id"])
    step("schedule_next", resend.Emails.send, mail(to("next"), scheduled_at="next tuesday"))


def listing():
    first = step("list", resend.Emails.list, {"limit": 2})
    last = first["data"][1]["id"]
    after = step("list_after", resend.Emails.list, {"limit": 2, "after": last})
    step("list_before", resend.Emails.list, {"limit": 2, "before": after["data"][0]["id"]})
    step("list_unknown", resend.Emails.list, {"after": given["nobodys"]})
    step("domains", resend.Domains.list)
    own, resend.api_url = resend.api_url, resend.api_url + "/"
    step("slash", resend.Domains.list)
    resend.api_url = own


def failing():
    refused = mail(to("failing"))
    as_key("", "missing_key", resend.Emails.send, refused)
    as_key(given["invalid_key"], "invalid_key", resend.Emails.send, refused)
    bare = {"from": sender, "to": to("failing"), "subject": "x"}
    step("missing_field", resend.Emails.send, bare)
    step("bad_address", resend.Emails.send, mail([to("ann"), "bob@"]))
    step("not_found", resend.Emails.get, given["nobodys"])
    step("no_such_path", resend.Request("/audiences", {}, "get").perform_with_content)
    step("method", resend.Request("/emails", refused, "put").perform_with_content)
    large = {**refused, "text": "x" * given["too_large"]}
    step("too_large", resend.Emails.send, large)
    for name in ("quota", "monthly"):
        as_key(given[f"{name}_key"], name, resend.Emails.send, mail([to("a"), to("b")]))
    rate()


# One after another until one is too many: a request may take long where much is going on.
def rate():
    resend.api_key = given["limited_key"]
    for _ in range(50):
        try:
            resend.Domains.list()
        except ResendError as error:
            caught = error
            break

    def again():
        raise caught

    step("rate", again)
    resend.api_key = os.environ["RESEND_API_KEY"]


sending()
attaching()
batching()
repeating()
scheduling()
listing()
failing()
