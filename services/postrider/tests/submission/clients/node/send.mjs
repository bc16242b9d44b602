// One mail by nodemailer, as a program's form has been set. What refuses it is printed as it came.
import { createTransport } from 'nodemailer';

const form = JSON.parse(process.argv[2]);
const transport = createTransport({
  host: form.host,
  port: form.port,
  secure: form.tls === 'implicit',
  requireTLS: form.tls === 'starttls',
  ignoreTLS: form.tls === 'none',
  auth: form.auth === 'none' ? undefined : { user: form.user, pass: form.password },
  authMethod: form.auth === 'none' ? undefined : form.auth.toUpperCase(),
});
try {
  await transport.sendMail({
    from: form.from,
    to: form.to,
    subject: form.subject,
    text: form.text,
  });
} catch (refused) {
  console.error(refused.response ?? refused);
  process.exitCode = 1;
}
