//! The MIME tree of a draft: text and HTML as alternatives, inline images related to the HTML,
//! files mixed with both (RFC 2046 §5.1, RFC 2387).

use postrider_model::Attachment;

use super::html::to_text;
use super::{Draft, DraftAttachment};
use crate::lines::{has_long_line, lines, normalise};
use crate::parameters::Parameters;
use crate::transfer::{base64_length, encode_base64, encode_quoted_printable, put_base64};

/// Writes what follows the message's own fields: Content-Type, the empty line, the parts.
pub(super) fn write(draft: &Draft, random: [u8; 16], out: &mut Vec<u8>) -> Vec<Attachment> {
    // Files are the bulk of a large message: it grows once, not by doubling.
    let files = draft.attachments.iter();
    out.reserve(
        files
            .map(|file| base64_length(file.content.len()) + 512)
            .sum(),
    );
    let preamble = draft.preamble.as_deref().filter(|text| !text.is_empty());
    let preamble = preamble.map(|text| normalise(text.as_bytes().to_vec()));
    let mut writer = Writer {
        preamble: preamble.filter(|text| is_seven_bit(text)),
        out,
        token: u128::from_be_bytes(random),
        boundaries: 0,
    };
    let is_inline = |file: &&DraftAttachment| draft.html.is_some() && file.content_id.is_some();
    let (inline, mixed): (Vec<_>, Vec<_>) = draft.attachments.iter().partition(is_inline);
    if mixed.is_empty() {
        writer.alternatives(draft, &inline);
    } else {
        let boundary = writer.open("mixed", &[]);
        writer.next(&boundary);
        writer.alternatives(draft, &inline);
        for file in mixed {
            writer.next(&boundary);
            writer.file(file, "attachment");
        }
        writer.close(&boundary);
    }
    draft.attachments.iter().map(remembered).collect()
}

fn remembered(file: &DraftAttachment) -> Attachment {
    Attachment {
        filename: file.filename.clone(),
        size: u64::try_from(file.content.len()).unwrap_or(u64::MAX),
        content_type: media(file).value,
        content_id: file.content_id.clone(),
    }
}

struct Writer<'a> {
    out: &'a mut Vec<u8>,
    token: u128,
    boundaries: u8,
    /// Until it is written.
    preamble: Option<Vec<u8>>,
}

impl Writer<'_> {
    fn put(&mut self, text: &str) {
        self.out.extend_from_slice(text.as_bytes());
    }

    fn open(&mut self, subtype: &str, parameters: &[(&str, &str)]) -> String {
        self.boundaries += 1;
        // RFC 2045 §6.7 (5): `=_` can stand in no encoded body.
        let boundary = format!("=_{:032x}_{}", self.token, self.boundaries);
        let mut list = vec![("boundary".to_owned(), boundary.clone())];
        list.extend(
            parameters
                .iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned())),
        );
        let media = Parameters {
            value: format!("multipart/{subtype}"),
            list,
        };
        self.put(&media.print("Content-Type"));
        self.put("\r\n");
        // The message's own, which is opened first.
        if let Some(preamble) = self.preamble.take() {
            self.out.extend_from_slice(&preamble);
        }
        boundary
    }

    fn next(&mut self, boundary: &str) {
        self.put(&format!("--{boundary}\r\n"));
    }

    fn close(&mut self, boundary: &str) {
        self.put(&format!("--{boundary}--\r\n"));
    }

    fn alternatives(&mut self, draft: &Draft, inline: &[&DraftAttachment]) {
        let Some(html) = &draft.html else {
            self.text("plain", draft.text.as_deref().unwrap_or_default());
            return;
        };
        let made;
        let text = if let Some(text) = &draft.text {
            text
        } else {
            made = to_text(html);
            &made
        };
        let boundary = self.open("alternative", &[]);
        self.next(&boundary);
        self.text("plain", text);
        self.next(&boundary);
        self.related(html, inline);
        self.close(&boundary);
    }

    fn related(&mut self, html: &str, inline: &[&DraftAttachment]) {
        if inline.is_empty() {
            self.text("html", html);
            return;
        }
        // RFC 2387 §3.1: type= is that of the root.
        let boundary = self.open("related", &[("type", "text/html")]);
        self.next(&boundary);
        self.text("html", html);
        for file in inline {
            self.next(&boundary);
            self.file(file, "inline");
        }
        self.close(&boundary);
    }

    fn text(&mut self, subtype: &str, text: &str) {
        let text = normalise(text.as_bytes().to_vec());
        self.put(&format!("Content-Type: text/{subtype}; charset=utf-8\r\n"));
        let (word, body) = encoded(text);
        self.put(&format!("Content-Transfer-Encoding: {word}\r\n\r\n"));
        self.out.extend_from_slice(&body);
    }

    fn file(&mut self, file: &DraftAttachment, disposition: &str) {
        let mut media = media(file);
        // RFC 2046 §5.2.1: no encoding on a message. One that is 7-bit travels as it is.
        let as_message = media.value.starts_with("message/");
        let content = normalise_if(as_message, &file.content);
        let is_plain = as_message && media.value == "message/rfc822" && is_seven_bit(&content);
        if as_message && !is_plain {
            media = Parameters {
                value: "application/octet-stream".to_owned(),
                list: vec![],
            };
        }
        self.put(&media.print("Content-Type"));
        let list = vec![("filename".to_owned(), file.filename.clone())];
        let disposition = Parameters {
            value: disposition.to_owned(),
            list,
        };
        self.put(&disposition.print("Content-Disposition"));
        if let Some(id) = &file.content_id {
            self.put(&format!("Content-ID: <{id}>\r\n"));
        }
        if is_plain {
            self.put("Content-Transfer-Encoding: 7bit\r\n\r\n");
            self.out.extend_from_slice(&content);
        } else {
            self.put("Content-Transfer-Encoding: base64\r\n\r\n");
            put_base64(&file.content, self.out);
        }
    }
}

fn normalise_if(wanted: bool, content: &[u8]) -> Vec<u8> {
    if wanted {
        normalise(content.to_vec())
    } else {
        vec![]
    }
}

fn is_seven_bit(text: &[u8]) -> bool {
    text.is_ascii() && !text.contains(&0) && !has_long_line(text)
}

/// The longest line that no host on the way breaks: RFC 5321 §4.5.3.1.6 has 998, sendmail 990.
const UNBROKEN: usize = 990;

// As it is where every host passes it unchanged, so that a link in it can be followed by who sees it
// undecoded; else quoted-printable while it stays readable. The 78 of RFC 5322 §2.1.1 are for the eye, and
// programs fold.
fn encoded(text: Vec<u8>) -> (&'static str, Vec<u8>) {
    let good = |line: &[u8]| {
        let passes = line.len() <= UNBROKEN && !line.ends_with(b" ");
        passes && !line.starts_with(b"From ") && line != b"."
    };
    if is_seven_bit(&text) && lines(&text).all(good) {
        return ("7bit", text);
    }
    if escaped(&text) * 6 <= text.len().max(60) {
        return ("quoted-printable", encode_quoted_printable(&text));
    }
    ("base64", encode_base64(&text))
}

/// How many bytes quoted-printable writes as three. In blocks whose count fits a byte: then many are
/// looked at at once.
fn escaped(text: &[u8]) -> usize {
    let one = |&b: &u8| u8::from(!b.is_ascii() || b == b'=');
    let block = |block: &[u8]| usize::from(block.iter().map(one).sum::<u8>());
    text.chunks(usize::from(u8::MAX)).map(block).sum()
}

// A text file keeps its bytes, and names no charset that the client did not.
fn media(file: &DraftAttachment) -> Parameters {
    match &file.content_type {
        Some(given) => Parameters::parse(given),
        None => Parameters {
            value: guessed(&file.filename).to_owned(),
            list: vec![],
        },
    }
}

fn guessed(filename: &str) -> &'static str {
    let extension = filename
        .rsplit_once('.')
        .map(|(_, extension)| extension.to_ascii_lowercase());
    match extension.as_deref().unwrap_or_default() {
        "pdf" => "application/pdf",
        "png" => "image/png",
        "jpg" | "jpeg" => "image/jpeg",
        "gif" => "image/gif",
        "webp" => "image/webp",
        "svg" => "image/svg+xml",
        "heic" => "image/heic",
        "tif" | "tiff" => "image/tiff",
        "txt" | "log" => "text/plain",
        "csv" => "text/csv",
        "htm" | "html" => "text/html",
        "ics" => "text/calendar",
        "vcf" => "text/vcard",
        "xml" => "application/xml",
        "json" => "application/json",
        "zip" => "application/zip",
        "rtf" => "application/rtf",
        "doc" => "application/msword",
        "xls" => "application/vnd.ms-excel",
        "ppt" => "application/vnd.ms-powerpoint",
        "docx" => "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
        "xlsx" => "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
        "pptx" => "application/vnd.openxmlformats-officedocument.presentationml.presentation",
        "odt" => "application/vnd.oasis.opendocument.text",
        "ods" => "application/vnd.oasis.opendocument.spreadsheet",
        "eml" => "message/rfc822",
        "mp3" => "audio/mpeg",
        "wav" => "audio/wav",
        "mp4" => "video/mp4",
        "mov" => "video/quicktime",
        _ => "application/octet-stream",
    }
}
