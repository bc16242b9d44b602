// Two equal requests at once under one key, as `steps.mjs` is told and tells. The relay takes long over
// the one that comes first.
import { Resend } from "resend";

const { word } = JSON.parse(process.argv[2]);
const resend = new Resend();
const mail = {
  from: "Joe's Garage <joe@joesgarage.example>",
  to: `twice-${word}@example.org`,
  subject: "Your car",
  text: "It is ready.",
};
const send = () => resend.emails.send(mail, { idempotencyKey: `twice-${word}` });

function tell(step, { data, error }) {
  const said = error && { status: error.statusCode, name: error.name, message: error.message };
  console.log(JSON.stringify(error ? { step, error: said } : { step, ok: data }));
}

const both = await Promise.all([send(), send()]);
for (const one of both) tell(one.error ? "waited" : "first", one);
tell("asked_again", await send());
