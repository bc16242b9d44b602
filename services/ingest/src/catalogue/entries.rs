//! The catalogue's data: one place, one line for each thing.

use postrider_model::EnhancedCode;

use super::{Entry, Http, Smtp};

// Id, name, [reply], (counterpart), sentence, more.
macro_rules! entries {
    ($( $id:literal $name:ident $([$code:literal $class:literal $subject:literal $detail:literal])? $(($status:literal $http:literal))? $sentence:literal $more:literal; )+) => {
        impl Entry {
            $(
                pub const $name: Self = Self {
                    id: $id,
                    smtp: entries!(@smtp $($code $class $subject $detail)?),
                    http: entries!(@http $($status $http)?),
                    sentence: $sentence,
                    more: $more,
                };
            )+

            /// All of them, in the order of their ids.
            pub const ALL: &'static [Self] = &[$(Self::$name),+];
        }
    };
    (@smtp $code:literal $class:literal $subject:literal $detail:literal) => {
        Some(Smtp { code: $code, enhanced: EnhancedCode($class, $subject, $detail) })
    };
    (@smtp) => { None };
    (@http $status:literal $name:literal) => { Some(Http { status: $status, name: $name }) };
    (@http) => { None };
}

entries! {
    // ---- connection and TLS
    "PR-101" SPOKE_HTTP [554 5 5 0]
        "This port takes mail by SMTP, not HTTP: put {api} into the box for the base URL."
        "The first line was an HTTP request. The API has a port of its own.";
    "PR-102" TLS_FIRST [530 5 7 0]
        "Must issue a STARTTLS command first: switch encryption on (the box TLS, SSL or STARTTLS) in the mail settings."
        "Mail and passwords are taken encrypted only. Any of the ports takes either kind of encryption.";
    "PR-103" AUTH_IN_THE_CLEAR [538 5 7 11]
        "No password is taken without encryption: switch on the box TLS, SSL or STARTTLS in the mail settings."
        "If the program did send a password with the command, it crossed the network unencrypted: have it replaced.";
    "PR-104" BEFORE_TLS [554 5 5 0]
        "Commands came behind STARTTLS before encryption began; the line is closed. Update the program, or use implicit TLS on port 465."
        "Bytes that an attacker may have put before the handshake are never obeyed (CVE-2011-0411). A broken program does the same.";
    "PR-105" TLS_IS_ON [503 5 5 1]
        "Encryption is on already: choose either SSL/TLS or STARTTLS in the mail settings, not both."
        "STARTTLS came inside an encrypted session.";
    "PR-106" TLS_UNAVAILABLE [454 4 7 0]
        "Encryption cannot be had here for the moment: send it again later."
        "The operator has configured no certificate for this port.";
    "PR-111" TLS_TOO_OLD
        "The program offered {version} at most, and TLS 1.2 is the oldest that is taken: choose TLS 1.2 in its settings, or update it or Windows."
        "TLS 1.0 and 1.1 are forbidden by RFC 8996. On Windows 7 and Server 2008 R2 TLS 1.2 has to be switched on for WinHTTP and SChannel.";
    "PR-112" TLS_IN_COMMON
        "The program and the server have no kind of encryption in common: update the program, or its OpenSSL or Windows."
        "The handshake ended without a cipher suite, group or signature that both sides know.";
    "PR-113" TLS_REFUSED_BY_CLIENT
        "The program did not accept our certificate ({alert}): put {host} into the box for the server, and check the computer's date."
        "The program checks the certificate against the name in its box for the server, and against its own list of authorities.";
    "PR-114" TLS_BROKEN_OFF
        "The program hung up while TLS was being set up: choose the other kind of encryption in its settings, or update it."
        "Often the program does not accept the certificate and does not say so, or its user pressed Cancel.";
    "PR-115" TLS_TOO_LATE
        "The program began TLS only after our greeting: choose STARTTLS on this port. For SSL/TLS use port 465, which waits longest; a program too slow for that needs STARTTLS."
        "On every port the first bytes decide which kind of encryption is spoken. Where none come we greet: after 3 s on port 465, after 150 ms on the others.";
    "PR-116" SAID_NOTHING
        "The program connected and said nothing: a firewall or virus scanner may hold its lines back, or its time-out is too short."
        "Nothing came after the greeting before the line was closed.";
    "PR-117" TLS_GIBBERISH
        "What came for TLS is not TLS: a proxy or virus scanner may stand between the program and the server."
        "The first bytes looked like a handshake and could not be read as one.";

    // ---- sign-in
    "PR-201" PASSWORD_UNKNOWN [535 5 7 8] (403 "invalid_api_key")
        "The password is not known: type it anew into the password box (24 letters and digits; case, spaces and hyphens do not matter)."
        "Unknown and withdrawn passwords are answered alike. The user name does not matter. A key that begins with pr_live_ works as password too.";
    "PR-202" NO_PASSWORD [535 5 7 8] (401 "missing_api_key")
        "A user name came, but no password: fill in the password box; any user name will do."
        "The program signed in with an empty password. Some programs drop a password that is too long for their box.";
    "PR-203" MECHANISM [504 5 5 4]
        "Sign-in by {mechanism} is not offered: choose LOGIN, PLAIN or automatic in the box for authentication."
        "CRAM-MD5, DIGEST-MD5 and NTLM would need passwords stored in the clear; OAuth belongs to other services.";
    "PR-204" AUTH_FIRST [530 5 7 0] (401 "missing_api_key")
        "Authentication required: the program sent no password. Switch on the box for sign-in, and fill in user name and password."
        "Nothing is relayed for programs that did not sign in, whoever the mail is from. The box may be called \"authentication\" or \"my server requires a password\".";
    "PR-205" AUTH_CANCELLED [501 5 7 0]
        "The program cancelled the sign-in: check that user name and password are filled in."
        "It sent * in answer to the question for the password (RFC 4954 section 4).";
    "PR-206" AUTH_UNREADABLE [501 5 5 2]
        "The sign-in cannot be read: choose LOGIN in the box for authentication, or update the program."
        "It was not base64, or not of the form that the mechanism has (RFC 4954 section 4, RFC 4616).";
    "PR-207" OTHER_IDENTITY [535 5 7 8]
        "The program asks to act for another user: leave the box for the authorization identity empty."
        "SASL PLAIN can name a second identity. It has to be empty or equal to the user name.";
    "PR-208" SUSPENDED [525 5 7 13] (403 "validation_error")
        "This account is suspended by {by}: write to {contact}."
        "The operator or the vendor of the program stopped it; mail that waits is kept. Who stopped it lets it go on.";
    "PR-209" KEY_EXPIRED [535 5 7 8] (403 "invalid_api_key")
        "This password ended at {at}: ask for a new one, and type it into the password box."
        "It was made with an end.";
    "PR-210" OTHER_NETWORK [535 5 7 8] (403 "invalid_api_key")
        "This password may not be used from the address {ip}: use it where it belongs, or have the address added to it."
        "It was made for certain networks only.";
    "PR-211" SIGNED_IN [503 5 5 1]
        "The program has signed in already and tries it again: update the program."
        "RFC 4954 section 4 allows one sign-in for each session.";
    "PR-212" TOO_MANY_PASSWORDS [421 4 7 0]
        "Sign-in failed three times; the line is closed. Type the password anew into the password box."
        "The next connection may try again.";
    "PR-213" NO_MECHANISM [501 5 5 4]
        "The program did not say how it signs in: choose LOGIN or PLAIN in the box for authentication."
        "AUTH came without the name of a mechanism.";
    "PR-214" VENDOR_SUSPENDED [525 5 7 13] (403 "validation_error")
        "All accounts of {vendor} are suspended: write to {contact}."
        "The vendor of the program was suspended, with all its accounts. Mail that waits is kept.";
    "PR-215" KEY_SUSPENDED [525 5 7 13] (403 "validation_error")
        "This password is suspended: ask whom it is from, or the service's operator."
        "It alone was stopped for a while; others of the account go on.";

    // ---- envelope and order
    "PR-301" HELLO_FIRST [503 5 5 1]
        "The program has to say EHLO first, and once more after encryption began: update the program."
        "RFC 5321 section 4.1.4, RFC 3207 section 4.2.";
    "PR-302" BAD_SENDER [501 5 1 7] (422 "invalid_from_address")
        "The sender is not an address: correct the box for the sender or From."
        "What stands behind MAIL FROM is not used as sender, but has to be readable or empty.";
    "PR-303" BAD_RECIPIENT [501 5 1 3] (422 "validation_error")
        "This recipient is not an address ({reason}): correct the box To, Cc or Bcc."
        "Only this recipient is refused; the others of the message are not touched.";
    "PR-304" PARAMETER [555 5 5 4]
        "The parameter {parameter} of {command} is not offered: switch off what asks for it (such as delivery receipts) in the mail settings."
        "Only SIZE, BODY and SMTPUTF8 are known.";
    "PR-305" TOO_MANY_RECIPIENTS [452 4 5 3] (422 "validation_error")
        "A message may have {most} recipients here: send it to the rest in another one."
        "The recipients before stay. RFC 5321 section 4.5.3.1.10.";
    "PR-306" NO_RECIPIENTS [554 5 5 1] (422 "missing_required_field")
        "No recipient was taken, so there is nothing to send: fill in the box To, Cc or Bcc."
        "All recipients were refused, or none was named.";
    "PR-307" UNKNOWN_COMMAND [500 5 5 1]
        "This command is not known: check that server and port in the settings are those for outgoing mail (SMTP)."
        "A program that speaks another protocol, or the rest of a message whose end was mistaken.";
    "PR-308" NOT_IMPLEMENTED [502 5 5 1]
        "The command {command} is not offered here: switch off what asks for it in the mail settings."
        "Known to SMTP, of no use at this door.";
    "PR-309" SYNTAX [501 5 5 4]
        "{command} cannot be read: check the boxes for sender and recipient, or update the program."
        "RFC 5321 section 4.1.2.";
    "PR-310" LINE_TOO_LONG [500 5 5 2]
        "A command line is longer than this server takes: check the boxes for sender and recipient, or update the program."
        "Commands end with CR LF; a program that forgets it sends one endless line.";
    "PR-311" TOO_MANY_ERRORS [421 4 7 0]
        "Too many commands failed; the line is closed. The first refusal of this session says why."
        "GET /sessions/{code} has all of them.";
    "PR-312" MAIL_IS_OPEN [503 5 5 1]
        "A message is being handed over already; this command has to wait for its end: update the program."
        "MAIL or AUTH came between a sender and the end of its message.";
    "PR-313" PARAMETER_VALUE [501 5 5 4]
        "The parameter {parameter} of {command} has a value that it cannot have: update the program."
        "SIZE is a number, BODY is 7BIT or 8BITMIME.";
    "PR-314" BARE_LINE_FEED [500 5 5 2]
        "The program's commands end in LF alone, and several came at once; the line is closed. Update the program."
        "Two servers could read other commands in it (SMTP smuggling). In the text of a message such ends are taken.";
    "PR-315" CONTROL_CHARACTERS [500 5 5 2]
        "A command holds control characters: check the boxes for sender and recipient for characters that cannot be seen."
        "NUL, or a carriage return inside the line.";
    "PR-316" CONTENT_UNASKED [554 5 5 0]
        "The program sent a message that was refused before; the line is closed. The refusal before this one says why."
        "Content must never be taken for commands.";
    "PR-317" MAIL_FIRST [503 5 5 1]
        "A sender has to come first (MAIL), and it has to be taken: the refusal before this one says why, or update the program."
        "RCPT or DATA came without a sender.";

    // ---- content, size, options
    "PR-401" TOO_LARGE [552 5 3 4] (413 "validation_error")
        "The message is larger than {most}, the most that is taken: send smaller attachments. (The password is fine.)"
        "Attachments grow by a third on their way into a mail.";
    "PR-402" UNREADABLE [554 5 6 0] (422 "validation_error")
        "The message cannot be sent as it is: {reason}. Update the program."
        "Two mail programs could read it differently, or it is broken.";
    "PR-403" BAD_FROM [554 5 6 0] (422 "invalid_from_address")
        "The From field cannot be used ({reason}): put exactly one address into the box for the sender."
        "Its address becomes the Reply-To if it is confirmed.";
    "PR-404" EMPTY [554 5 6 0] (422 "missing_required_field")
        "The message is empty: fill in a subject or a text."
        "Neither header nor text came.";
    "PR-405" OPTION [554 5 6 0] (422 "invalid_parameter")
        "The header {header} cannot be used: {reason}."
        "Options of a message stand in headers that are taken off before it is sent.";
    "PR-406" SCHEDULED_TOO_LATE [554 5 6 0] (422 "invalid_parameter")
        "The time in X-Postrider-Scheduled-At is more than {days} days ahead: give an earlier one."
        "Header X-Postrider-Scheduled-At, field scheduled_at.";
    "PR-407" EXPIRES_TOO_EARLY [554 5 6 0] (422 "invalid_parameter")
        "The message would expire at {at}, before it is sent: give a later time in X-Postrider-Expires-At."
        "Header X-Postrider-Expires-At, field expires_at, or the lifetime that the password gives its mail.";
    "PR-408" SIGNED_PART [554 5 6 0] (422 "validation_error")
        "The signed part would have to be changed to be sent, which breaks its signature: send it without S/MIME or PGP signing."
        "It has 8-bit text or lines over 998 characters inside multipart/signed.";
    "PR-409" LOOP [554 5 4 6] (422 "validation_error")
        "The message has gone round in a circle ({hops} hops): check the forwarding rules of its sender."
        "Each hop adds a Received field.";
    "PR-411" KEY_OF_OTHER_REQUEST [554 5 6 0] (409 "invalid_idempotent_request")
        "The idempotency key was used with another message: give each message a key of its own."
        "Header X-Postrider-Idempotency-Key, or Idempotency-Key at the HTTP door.";
    "PR-412" KEY_IN_PROGRESS [451 4 5 0] (409 "concurrent_idempotent_requests")
        "The first message with this idempotency key is still being taken: send it again in a moment."
        "Nothing is sent twice.";
    "PR-413" BULK_TOO_LARGE [552 5 3 4] (413 "validation_error")
        "A bulk message is stored once for each recipient, and {given} of this size are too much: send it to fewer at a time."
        "Link and signature of a bulk message are its recipient's own.";

    // ---- limits and pace
    "PR-501" CONNECTIONS_OF_ONE [421 4 7 0] (429 "rate_limit_exceeded")
        "{most} connections from {ip} are open, the most for one address: have the program send over fewer at once."
        "A site behind one address counts as one.";
    "PR-502" CONNECTIONS [421 4 3 2] (503 "application_error")
        "All lines are busy for the moment: send it again in a minute."
        "The server's own bound on connections.";
    "PR-503" RATE [451 4 7 1] (429 "rate_limit_exceeded")
        "More than {limit} requests came in one second: send it again in a moment."
        "requests_per_second of the tenant; it is no limit at the SMTP door.";
    "PR-504" DAY [452 4 7 1] (429 "daily_quota_exceeded")
        "The daily quota of {limit} recipients does not allow {given} more ({used} used). It begins anew at {at}: send it again then."
        "Ask the service's operator for a higher one.";
    "PR-505" MONTH [452 4 7 1] (429 "monthly_quota_exceeded")
        "The monthly quota of {limit} recipients does not allow {given} more ({used} used). It begins anew at {at}: send it again then."
        "Ask the service's operator for a higher one.";
    "PR-506" KEY_DAY [452 4 7 1] (429 "daily_quota_exceeded")
        "This password may send to {limit} recipients a day and {used} are used. It begins anew at {at}: send it again then."
        "A limit of this password alone, below the account's own.";
    "PR-507" RAMP [452 4 7 1] (429 "daily_quota_exceeded")
        "This account is new: its {limit} recipients of today do not allow {given} more ({used} used). After a good day it may send to twice as many. Send it again at {at}."
        "The ramp of new accounts: 50 on the first day, doubled after each day without trouble.";
    "PR-508" NEW_RECIPIENTS [452 4 7 1] (429 "rate_limit_exceeded")
        "This account is new: {limit} recipients an hour it never wrote to before. Send it again at {at}."
        "In an account's first week.";
    "PR-509" BUSY [452 4 3 1] (503 "application_error")
        "Too many large messages are under way: send it again in a minute."
        "The memory for messages is taken; nothing of this one was kept.";
    "PR-511" TOO_SLOW_TO_SIGN_IN [421 4 4 2]
        "No sign-in came within {seconds} seconds; the line is closed. Connect again when there is mail to send."
        "The time that a session has before it has signed in.";
    "PR-512" IDLE [421 4 4 2]
        "Nothing came for {minutes} minutes; the line is closed. Connect again when there is mail to send."
        "RFC 5321 section 4.5.3.2.7.";
    "PR-513" SESSION_TOO_LONG [421 4 4 2]
        "The session is {minutes} minutes old; the line is closed between two messages. Connect again for the next one."
        "Nothing is lost: every message before was answered.";
    "PR-514" TOO_SLOW [421 4 4 2]
        "The message came slower than {rate} bytes a second; the line is closed. Send it again over a better line."
        "Nothing of it was kept.";
    "PR-515" VENDOR_DAY [452 4 7 1] (429 "daily_quota_exceeded")
        "The {limit} recipients a day of all accounts of {vendor} are used up: send it again at {at}, or ask {contact}."
        "The daily volume of the vendor, over all its accounts.";
    "PR-516" NEW_RECIPIENTS_OF_ONE [554 5 7 1] (422 "validation_error")
        "This account is new: {limit} recipients an hour it never wrote to before, and the message has more. Split it: send it to fewer at a time."
        "In an account's first week. Such a message does not fit at any time.";
    "PR-517" QUOTA_OF_ONE [554 5 7 1] (422 "validation_error")
        "{given} recipients are more than {quota} of {limit} allows at any time. Split it: send it to fewer at a time, or ask the service's operator for a higher limit."
        "Waiting does not help: the limit is below what is sent at once.";

    // ---- identity and policy
    "PR-601" UNCONFIRMED [550 5 7 1] (403 "validation_error")
        "This account is not confirmed yet: open the link in our mail to {address}. None came? Look into Spam, then ask whom this password is from. Until then: 20 messages, to that address only."
        "Where the program has a box for it, ticking it again (POST /enroll) sends another letter ten minutes later: three a UTC day and five in all at most, until a week has passed without one. `postrider reply ask` has only the ten minutes, and counts for the box. The letter came back? Then it is PR-605. Mail to the simulator is taken too, and is among the 20.";
    "PR-602" REPLY_UNKNOWN [550 5 7 1] (422 "invalid_from_address")
        "{address} is not confirmed for replies: put a confirmed address into the box for the sender or Reply-To."
        "This password is set to refuse unknown addresses; the usual setting replaces them by the account's own.";
    "PR-603" NAME_REFUSED [550 5 7 1] (422 "invalid_from_address")
        "The sender's name {name} may not be shown ({reason}): put the company's own name into its box."
        "Names with addresses, domains, invisible characters or protected brands mislead recipients.";
    "PR-604" TEST_KEY [550 5 7 1] (403 "validation_error")
        "This password is for tests and writes to the simulator only: put delivered@{simulator} into the box To, or ask for a password for real mail."
        "Other words there: bounced, deferred, greylisted, full, slow, dropped; a +label behind the word is allowed. Nothing of it leaves the machine.";
    "PR-605" ASKED_IN_VAIN [550 5 7 1] (403 "validation_error")
        "This account is not confirmed: our mail with the link came back from {address}. Put another reply address into the program, or ask whom this password is from."
        "The address is misspelled, or took no mail then. Another one is the account's at once, by POST /enroll with a newer token, and is asked. To the same one ticking the box again, or `postrider reply ask`, sends another letter from ten minutes after the last. Mail to that address and to the simulator is taken.";
    "PR-606" OWNER_DENIED [550 5 7 1] (403 "validation_error")
        "The owner of the reply address {address} does not know this account: nothing is accepted. Put another reply address into the program, or write to the service's operator."
        "Somebody pressed the second button behind the link: the address is another's, or it was a mistake. What waits with that address in Reply-To or for receipts does not leave, also when there is another; what names others goes on. Mail to the simulator is taken, among the 20 messages of an account that is not confirmed. `postrider reply confirm` takes their word back.";

    // ---- enrolment: what a vendor's program is told
    "PR-701" TOKEN_MALFORMED (422 "validation_error")
        "The licence token cannot be read ({why}): send it as the vendor's server issued it."
        "A token is a compact JWS (RFC 7515): three parts of base64url without padding, with dots between them.";
    "PR-702" TOKEN_ALGORITHM (403 "invalid_api_key")
        "The licence token is signed with {alg}: sign it with EdDSA, by an Ed25519 key."
        "No other algorithm is taken, none least of all (RFC 8037 section 3.1).";
    "PR-703" TOKEN_KEY (403 "invalid_api_key")
        "No vendor has the key {kid} that the licence token names as its kid: have the operator add it, or sign with one that is there."
        "A kid is the key's thumbprint by RFC 7638, as vendor key list shows it. Revoked keys are like unknown ones.";
    "PR-704" TOKEN_SIGNATURE (403 "invalid_api_key")
        "The licence token was not signed by {signer}, or was changed since: have the vendor's server issue a new one."
        "The signature covers header and payload exactly as they stand in the token. The key is the one in kid; without a kid, each key of the vendor in iss is tried.";
    "PR-705" TOKEN_CLAIM (422 "validation_error")
        "The licence token's claim {claim} {reason}: have the vendor's server issue one that has it right."
        "sub, exp and iat are needed, and iss where the header has no kid; plan, reply_to and attested may stand beside them.";
    "PR-706" TOKEN_EXPIRED (403 "invalid_api_key")
        "The licence token ended at {at}: have the vendor's server issue a new one."
        "Its claim exp. If that is in the future there, the clock of one of the two machines is wrong.";
    "PR-707" TOKEN_TOO_EARLY (403 "invalid_api_key")
        "The licence token begins at {at}, which is in the future: set the clock of the vendor's server."
        "Its claim iat or nbf; five minutes are passed over.";
    "PR-708" TOKEN_OTHER_VENDOR (403 "invalid_api_key")
        "The licence token says it is of vendor {issuer}, and its key is another's: put the vendor's own name into iss."
        "iss is the vendor's slug or id, as vendor list shows it.";
    "PR-709" TOKEN_OTHER_REPLY_TO (409 "invalid_idempotent_request")
        "The licence token is for {bound}, not for {given}: have the vendor's server issue one for this reply address."
        "Its claims reply_to or attested name the only reply address that it may be used with.";
    "PR-710" TOKEN_REPLAYED (409 "invalid_idempotent_request")
        "The licence token was used with another reply address, or a newer one was: have the vendor's server issue a new one to change it."
        "A change needs a token whose iat is later than that of the last one used. With the same reply address a token may be used again.";
    "PR-711" NOT_ENROLLED (404 "not_found")
        "The licence {licence} was never enrolled: call POST /enroll first."
        "Status and rotation are about a tenant that is there.";
    "PR-712" DISOWNED (422 "validation_error")
        "Who has {address} told us that the account is not theirs: give another reply address."
        "They pressed the button in the letter that asked them.";
    "PR-713" ROTATED_TOO_OFTEN (429 "rate_limit_exceeded")
        "Five pairs of keys open the doors already, until {at}: rotate again then, or have the vendor revoke an old pair of {tenant} by the admin API."
        "Keys that were rotated live on for the overlap, seven days by default: retry-after says when the first pair ends; where none has an end there is no retry-after. Sooner: DELETE /admin/v1/tenants/{tenant}/keys/{key}, or postrider key revoke.";
    "PR-714" TOKEN_ISSUER (403 "invalid_api_key")
        "No vendor that has a key is called {issuer}, as the licence token's iss says: put the vendor's slug there, or have the operator add the key."
        "A token without a kid is looked up by its iss: the vendor's slug or id, as vendor list shows it.";
    "PR-715" TOKEN_OUTDATED (409 "invalid_idempotent_request")
        "The licence token is older than the last one that was used: have the vendor's server issue a new one."
        "New keys are given for the newest token only: its iat must not be before that of the last one used.";

    // ---- ours
    "PR-901" UNAVAILABLE [451 4 3 0] (503 "application_error")
        "The service cannot take mail for the moment: send it again in a minute."
        "The database does not answer. Nothing of the message was kept.";
    "PR-902" NO_SPACE [452 4 3 1] (503 "application_error")
        "The service has no room for more mail now: send it again later."
        "The free space on disk is below its mark.";
    "PR-903" INTERNAL [451 4 3 0] (500 "application_error")
        "Something went wrong on our side: send it again, and give the code at the end of this line to the operator."
        "It is logged.";
    "PR-904" STOPPING [421 4 3 2] (503 "application_error")
        "The service is restarting: send it again in a moment."
        "Every message that was answered is kept.";
    "PR-905" NO_SIGNING_KEY [451 4 7 5] (503 "application_error")
        "The service has no key to sign with now: send it again later."
        "The operator has to make one: postrider dkim add.";
}
