//! Reads a TLS `ClientHello` (RFC 8446 §4.1.2) as far as it explains why a handshake failed.

use std::fmt;

/// What a client offered in its first message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientHello {
    /// Best first. A client that does not list them (before TLS 1.3) says its best only, and may
    /// know older ones.
    pub versions: Vec<TlsVersion>,
    /// The name it wants a certificate for; `None` from clients that connect to an address.
    pub server_name: Option<String>,
    /// By their IANA numbers, in the client's order.
    pub cipher_suites: Vec<u16>,
    /// The protocols it wants to speak inside; mail programs say none.
    pub alpn: Vec<String>,
}

/// A version of SSL or TLS; newer ones are greater.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum TlsVersion {
    /// Not one of those below, by its number.
    Other(u16),
    Ssl2,
    Ssl3,
    Tls10,
    Tls11,
    Tls12,
    Tls13,
}

/// Why bytes are not a `ClientHello`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HelloError {
    #[error("not a TLS handshake record with a client hello")]
    NotHello,
    #[error("the client hello is longer than {HELLO_MOST} bytes")]
    TooLong,
    #[error("the client hello is malformed")]
    Malformed,
}

const HELLO_MOST: usize = 64 * 1024;
const SERVER_NAME: u16 = 0;
const ALPN: u16 = 16;
const SUPPORTED_VERSIONS: u16 = 43;

impl ClientHello {
    /// Reads the first bytes of a connection. `Ok(None)`: there must come more.
    pub fn read(bytes: &[u8]) -> Result<Option<Self>, HelloError> {
        if bytes.first().is_some_and(|length| length & 0x80 != 0) {
            return read_ssl2(bytes);
        }
        let Some(handshake) = unwrap_records(bytes)? else {
            return Ok(None);
        };
        read_body(&mut Bytes(&handshake))
            .map(Some)
            .ok_or(HelloError::Malformed)
    }

    /// The newest version it offers.
    pub fn best(&self) -> Option<TlsVersion> {
        self.versions.first().copied()
    }
}

impl TlsVersion {
    fn of(number: u16) -> Self {
        match number {
            0x0002 => Self::Ssl2,
            0x0300 => Self::Ssl3,
            0x0301 => Self::Tls10,
            0x0302 => Self::Tls11,
            0x0303 => Self::Tls12,
            0x0304 => Self::Tls13,
            other => Self::Other(other),
        }
    }
}

impl fmt::Display for TlsVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Other(number) => write!(f, "version {number:#06x}"),
            Self::Ssl2 => f.write_str("SSL 2"),
            Self::Ssl3 => f.write_str("SSL 3"),
            Self::Tls10 => f.write_str("TLS 1.0"),
            Self::Tls11 => f.write_str("TLS 1.1"),
            Self::Tls12 => f.write_str("TLS 1.2"),
            Self::Tls13 => f.write_str("TLS 1.3"),
        }
    }
}

// The hello's body, put together from the records it came in (a record holds any part of it).
fn unwrap_records(bytes: &[u8]) -> Result<Option<Vec<u8>>, HelloError> {
    let mut message = Vec::new();
    let mut rest = Bytes(bytes);
    loop {
        match message.as_slice() {
            [1, high, middle, low, body @ ..] => {
                let length = u32::from_be_bytes([0, *high, *middle, *low]);
                let length = usize::try_from(length).unwrap_or(usize::MAX);
                if length > HELLO_MOST {
                    return Err(HelloError::TooLong);
                }
                if let Some(body) = body.get(..length) {
                    return Ok(Some(body.to_vec()));
                }
            }
            [] | [1, ..] => {}
            _ => return Err(HelloError::NotHello),
        }
        match rest.0.first() {
            None => return Ok(None),
            Some(0x16) => {}
            Some(_) => return Err(HelloError::NotHello),
        }
        // Type and version, then the fragment behind its length.
        let Some(fragment) = rest.take(3).and_then(|_| rest.vector16()) else {
            return Ok(None);
        };
        if fragment.0.is_empty() {
            return Err(HelloError::Malformed);
        }
        message.extend_from_slice(fragment.0);
    }
}

fn read_body(body: &mut Bytes<'_>) -> Option<ClientHello> {
    let legacy = body.u16()?;
    body.take(32)?; // random
    body.vector8()?; // session id
    let mut hello = ClientHello {
        versions: vec![TlsVersion::of(legacy)],
        server_name: None,
        cipher_suites: body.vector16()?.numbers()?,
        alpn: Vec::new(),
    };
    body.vector8()?; // compression methods
    // Before TLS 1.2 there may be no extensions.
    let mut extensions = if body.0.is_empty() {
        Bytes(&[])
    } else {
        body.vector16()?
    };
    while !extensions.0.is_empty() {
        let (kind, mut data) = (extensions.u16()?, extensions.vector16()?);
        match kind {
            SERVER_NAME => read_server_name(&mut data, &mut hello)?,
            ALPN => hello.alpn = read_alpn(&mut data)?,
            SUPPORTED_VERSIONS => hello.versions = read_versions(&mut data)?,
            _ => {}
        }
    }
    Some(hello)
}

// RFC 6066 §3.
fn read_server_name(data: &mut Bytes<'_>, hello: &mut ClientHello) -> Option<()> {
    let mut names = data.vector16()?;
    while !names.0.is_empty() {
        let (kind, name) = (names.take(1)?, names.vector16()?);
        if kind == [0] {
            hello.server_name = Some(printable(name.0));
        }
    }
    Some(())
}

// RFC 7301 §3.1.
fn read_alpn(data: &mut Bytes<'_>) -> Option<Vec<String>> {
    let mut names = data.vector16()?;
    let mut protocols = Vec::new();
    while !names.0.is_empty() {
        protocols.push(printable(names.vector8()?.0));
    }
    Some(protocols)
}

// RFC 8446 §4.2.1.
fn read_versions(data: &mut Bytes<'_>) -> Option<Vec<TlsVersion>> {
    let mut versions: Vec<TlsVersion> = data
        .vector8()?
        .numbers()?
        .into_iter()
        .map(TlsVersion::of)
        .collect();
    versions.sort_unstable_by(|a, b| b.cmp(a));
    Some(versions)
}

// RFC 5246 appendix E.2.
fn read_ssl2(bytes: &[u8]) -> Result<Option<ClientHello>, HelloError> {
    let &[high, low, kind, major, minor, ..] = bytes else {
        return Ok(None);
    };
    if kind != 1 {
        return Err(HelloError::NotHello);
    }
    let length = usize::from(u16::from_be_bytes([high & 0x7f, low]));
    if bytes.len() < length + 2 {
        return Ok(None);
    }
    let mut versions = vec![
        TlsVersion::of(u16::from_be_bytes([major, minor])),
        TlsVersion::Ssl2,
    ];
    versions.dedup();
    Ok(Some(ClientHello {
        versions,
        server_name: None,
        cipher_suites: Vec::new(),
        alpn: Vec::new(),
    }))
}

fn printable(bytes: &[u8]) -> String {
    bytes
        .iter()
        .take(255)
        .map(|&byte| {
            if byte.is_ascii_graphic() {
                char::from(byte)
            } else {
                '?'
            }
        })
        .collect()
}

/// What is left to read. Every method is `None` where there is less than it needs.
struct Bytes<'a>(&'a [u8]);

impl<'a> Bytes<'a> {
    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }

    fn u16(&mut self) -> Option<u16> {
        let bytes = self.take(2)?;
        Some(u16::from_be_bytes(bytes.try_into().ok()?))
    }

    fn vector8(&mut self) -> Option<Self> {
        let length = self.take(1)?.first().copied()?;
        self.take(usize::from(length)).map(Self)
    }

    fn vector16(&mut self) -> Option<Self> {
        let length = self.u16()?;
        self.take(usize::from(length)).map(Self)
    }

    // All of it as numbers, without those that say nothing (GREASE, RFC 8701).
    fn numbers(mut self) -> Option<Vec<u16>> {
        let mut numbers = Vec::new();
        while !self.0.is_empty() {
            let number = self.u16()?;
            if number & 0x0f0f != 0x0a0a || number >> 8 != number & 0xff {
                numbers.push(number);
            }
        }
        Some(numbers)
    }
}

#[cfg(test)]
mod tests;
