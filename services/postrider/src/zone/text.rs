//! A zone file (RFC 1035 §5): taken by the import forms of DNS providers, which skip what is theirs (SOA,
//! NS), and loaded as it is by a name server of one's own.

use std::fmt::Write;

use postrider_model::Domain;

use super::{Data, Purpose, Record, Zone, names, reverse};

/// One string of a TXT record (RFC 1035 §3.3.14).
const STRING_MOST: usize = 255;

impl Zone {
    /// The whole file; where the names lie in several zones, a file for each, one after the other.
    pub(crate) fn text(&self) -> String {
        let zones = self.zones();
        let mut text = format!(
            "; The DNS records of {host}. Paste them one by one at your DNS provider, or import this file there.\n\
             ; `postrider doctor` says which of them are seen, and what is wrong with the others.\n",
            host = self.host,
        );
        let several = zones.len() > 1;
        for domains in zones {
            let shared = names::common(&domains);
            let origin = shared.or_else(|| domains.first().map(ToString::to_string));
            let origin = origin.unwrap_or_else(|| self.host.to_string());
            if several {
                let head = format!(
                    "\n; ---- The zone {origin}: from here to the next such line it is a file of its own.\n"
                );
                text.push_str(&head);
            }
            text.push_str(&self.zone(&origin, &domains));
        }
        text.push_str(&self.reports_elsewhere());
        text.push_str(&self.reverse_names());
        text
    }

    fn zone(&self, origin: &str, domains: &[&Domain]) -> String {
        let mut text = format!(
            "$ORIGIN {origin}.\n\
             $TTL 3600\n\n\
             ; Not for a DNS provider, which has these two itself. A name server of your own needs them: put its name\n\
             ; into both, or it says that {host} is the name server.\n\
             @ IN SOA {host}. {rname}. 1 3600 900 1209600 300\n\
             @ IN NS {host}.\n",
            host = self.host,
            rname = self.responsible(),
        );
        let is_here = |record: &Record| domains.iter().any(|domain| lies_in(record, domain));
        let mut last = None;
        for record in self.records().into_iter().filter(is_here) {
            if last.replace(record.purpose) != Some(record.purpose) {
                text.push_str("\n; ");
                text.push_str(about(record.purpose));
                text.push('\n');
            }
            text.push_str(&line(&record));
            text.push('\n');
        }
        text
    }

    /// Whom to write to about the zone, as a name: the first label is the local part (RFC 1035 §3.3.13), in
    /// which dots and what is special in a zone file are escaped (§5.1).
    fn responsible(&self) -> String {
        let Some(contact) = &self.contact else {
            return format!("postmaster.{}", self.host);
        };
        let mut name = String::new();
        for letter in contact.local_part().chars() {
            if !letter.is_ascii_alphanumeric() && letter != '-' && letter != '_' {
                name.push('\\');
            }
            name.push(letter);
        }
        format!("{name}.{}", contact.domain())
    }

    /// What has to stand in the zone of whom reports go to: a comment, for it is no record of ours.
    fn reports_elsewhere(&self) -> String {
        let records = self.records();
        let foreign: Vec<_> = records
            .iter()
            .filter(|record| self.is_elsewhere(record))
            .collect();
        let Some(reports) = self.reports.as_ref().filter(|_| !foreign.is_empty()) else {
            return String::new();
        };
        let mut text = format!(
            "\n; Reports go to {reports}. Receivers send them once these stand in DNS where the records of\n\
             ; {} are (RFC 7489 section 7.1):\n",
            reports.domain()
        );
        for record in foreign {
            text.push_str("; ");
            text.push_str(&line(record));
            text.push('\n');
        }
        text
    }

    fn reverse_names(&self) -> String {
        let mut text =
            "\n; Whoever gave you the addresses sets their names (PTR). Ask for:\n".to_owned();
        for address in &self.addresses {
            let line = format!("; {}. IN PTR {}.\n", reverse(*address), self.host);
            text.push_str(&line);
        }
        if self.addresses.is_empty() {
            text.push_str(
                "; No address is named yet, so A, AAAA and SPF are missing above: name it under [[egress]], then\n\
                 ; `postrider zone` prints this anew.\n",
            );
        }
        text
    }
}

pub(super) fn lies_in(record: &Record, domain: &Domain) -> bool {
    let above = record.name.strip_suffix(domain.as_str());
    above.is_some_and(|above| above.is_empty() || above.ends_with('.'))
}

fn about(purpose: Purpose) -> &'static str {
    match purpose {
        Purpose::Host => "Where the relay is",
        Purpose::Exchanger => "Bounces and replies come to the relay",
        Purpose::Spf => "SPF: mail leaves from these addresses only. One such record a name",
        Purpose::Dkim => "DKIM: the keys that sign. A long one is several strings, and one record",
        Purpose::Dmarc => "DMARC: what is not signed by these keys is not ours",
        Purpose::DmarcReports => "DMARC: reports about domains of another zone may come here",
        Purpose::MtaSts => "MTA-STS: mail to us comes by TLS. The policy is served by the relay",
        Purpose::TlsReports => "TLS-RPT: where reports about that go",
    }
}

/// One line, as it stands in a zone file.
pub(crate) fn line(record: &Record) -> String {
    let data = match &record.data {
        Data::Address(address) if address.is_ipv4() => format!("A {address}"),
        Data::Address(address) => format!("AAAA {address}"),
        Data::Alias(to) => format!("CNAME {to}."),
        Data::Exchanger(host) => format!("MX 10 {host}."),
        Data::Text(value) => format!("TXT {}", strings(value)),
    };
    format!("{}. IN {data}", record.name)
}

/// A text as the strings of one record; a resolver puts them together again with nothing between.
fn strings(text: &str) -> String {
    let mut written = String::new();
    for part in text.as_bytes().chunks(STRING_MOST) {
        if !written.is_empty() {
            written.push(' ');
        }
        written.push('"');
        for byte in part {
            match byte {
                b'"' | b'\\' => {
                    written.push('\\');
                    written.push(char::from(*byte));
                }
                b' '..=b'~' => written.push(char::from(*byte)),
                // Writing to a String does not fail.
                _ => drop(write!(written, "\\{byte:03}")),
            }
        }
        written.push('"');
    }
    if written.is_empty() {
        written.push_str("\"\"");
    }
    written
}
