// The steps of the story with the official SDK for Node, told its base URL by RESEND_BASE_URL and its
// key by RESEND_API_KEY, as anybody would. Prints one line of JSON for each: {"step","ok"} with what
// the SDK gave, or {"step","error"} with what it said. What else it needs comes as JSON in argv[2].
import { Resend } from "resend";

const given = JSON.parse(process.argv[2]);
const { word } = given;
const resend = new Resend();
const from = "Joe's Garage <joe@joesgarage.example>";
const to = (who) => `${who}-${word}@example.org`;
const base = { from, subject: "Your car", text: "It is ready." };

async function step(name, asked) {
  const { data, error } = await asked;
  const line = error
    ? { step: name, error: { status: error.statusCode, name: error.name, message: error.message } }
    : { step: name, ok: data };
  console.log(JSON.stringify(line));
  return data;
}

async function once(id, event) {
  const end = Date.now() + 30_000;
  for (;;) {
    const { data } = await resend.emails.get(id);
    if (data?.last_event === event || Date.now() > end) return;
    await new Promise((next) => setTimeout(next, 50));
  }
}

async function sending() {
  await step("short", resend.emails.send({ ...base, to: to("short") }));
  const full = await step(
    "full",
    resend.emails.send({
      from,
      to: [to("ann"), `Bo, Müller <${to("bo")}>`],
      cc: to("cc"),
      bcc: [to("bcc")],
      replyTo: given.reply_to,
      subject: "Grüße 😀",
      html: "<p>It is <b>ready</b>.</p>",
      text: "It is ready.",
      tags: [{ name: "kind", value: "estimate" }, { name: "word", value: word }],
      headers: { "X-Entity-Ref-ID": word },
    }),
  );
  await once(full.id, "delivered");
  await step("get", resend.emails.get(full.id));
  await step("cancel_delivered", resend.emails.cancel(full.id));
  return full.id;
}

async function attaching() {
  const bytes = Buffer.from(given.bytes);
  const sent = await step(
    "attach",
    resend.emails.send({
      ...base,
      to: to("files"),
      html: '<img src="cid:logo">',
      attachments: [
        { filename: "buffer.bin", content: bytes },
        { filename: "text.bin", content: bytes.toString("base64") },
        { filename: "view.bin", content: new Uint8Array(bytes), contentType: "application/x-view" },
        { filename: "logo.png", content: bytes, contentId: "logo" },
      ],
    }),
  );
  await step("attachments", resend.emails.attachments.list({ emailId: sent.id }));
  const path = [{ filename: "a.txt", path: "https://files.example/a.txt" }];
  await step("attach_path", resend.emails.send({ ...base, to: to("path"), attachments: path }));
}

async function batching() {
  const mail = (who) => ({ ...base, to: [to(who)] });
  await step("batch", resend.batch.send([mail("b0"), mail("b1"), mail("b2")]));
  const bad = [mail("b3"), { ...base, to: ["bob@"] }, mail("b4")];
  await step("batch_strict", resend.batch.send(bad));
  await step("batch_permissive", resend.batch.send(bad, { batchValidation: "permissive" }));
  const key = { idempotencyKey: `batch-${word}` };
  await step("batch_once", resend.batch.send([mail("b5"), mail("b6")], key));
  await step("batch_again", resend.batch.send([mail("b5"), mail("b6")], key));
}

async function repeating() {
  const options = { idempotencyKey: `order/${word}` };
  const mail = { ...base, to: to("once") };
  await step("once", resend.emails.send(mail, options));
  await step("again", resend.emails.send(mail, options));
  await step("other", resend.emails.send({ ...mail, subject: "Another car" }, options));
}

async function scheduling() {
  const later = { ...base, to: to("later"), scheduledAt: given.in_an_hour };
  const { id } = await step("schedule", resend.emails.send(later));
  await step("scheduled", resend.emails.get(id));
  await step("update", resend.emails.update({ id, scheduledAt: given.in_two_hours }));
  await step("updated", resend.emails.get(id));
  await step("cancel", resend.emails.cancel(id));
  await step("cancelled", resend.emails.get(id));
  await step("cancel_again", resend.emails.cancel(id));
  await step("update_cancelled", resend.emails.update({ id, scheduledAt: given.in_two_hours }));
  const words = await step(
    "schedule_words",
    resend.emails.send({ ...base, to: to("words"), scheduledAt: "in 1 min" }),
  );
  await step("scheduled_words", resend.emails.get(words.id));
  await step("cancel_words", resend.emails.cancel(words.id));
  const next = { ...base, to: to("next"), scheduledAt: "next tuesday" };
  await step("schedule_next", resend.emails.send(next));
}

async function listing() {
  const first = await step("list", resend.emails.list({ limit: 2 }));
  const last = first.data[1].id;
  const next = await step("list_after", resend.emails.list({ limit: 2, after: last }));
  await step("list_before", resend.emails.list({ limit: 2, before: next.data[0].id }));
  await step("list_unknown", resend.emails.list({ after: given.nobodys }));
  await step("domains", resend.domains.list());
  const slash = new Resend(undefined, { baseUrl: `${process.env.RESEND_BASE_URL}/` });
  await step("slash", slash.domains.list());
}

async function failing() {
  const mail = { ...base, to: to("failing") };
  // A key of blanks is a key to the SDK; on the wire nothing is left of it.
  await step("missing_key", new Resend(" ").emails.send(mail));
  await step("invalid_key", new Resend(given.invalid_key).emails.send(mail));
  await step("missing_field", resend.emails.send({ from, to: to("failing"), subject: "x" }));
  await step("bad_address", resend.emails.send({ ...base, to: [to("ann"), "bob@"] }));
  await step("not_found", resend.emails.get(given.nobodys));
  await step("no_such_path", resend.get("/audiences"));
  await step("method", resend.put("/emails", mail));
  await step("too_large", resend.emails.send({ ...mail, text: "x".repeat(given.too_large) }));
  for (const [name, key] of [["quota", given.quota_key], ["monthly", given.monthly_key]]) {
    await step(name, new Resend(key).emails.send({ ...mail, to: [to("a"), to("b")] }));
  }
  const limited = new Resend(given.limited_key);
  const all = await Promise.all(Array.from({ length: 8 }, () => limited.domains.list()));
  await step("rate", Promise.resolve(all.find((one) => one.error) ?? all[0]));
}

await sending();
await attaching();
await batching();
await repeating();
await scheduling();
await listing();
await failing();
