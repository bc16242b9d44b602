use super::*;

fn vector8(bytes: &[u8]) -> Vec<u8> {
    [&[u8::try_from(bytes.len()).unwrap()], bytes].concat()
}

fn vector16(bytes: &[u8]) -> Vec<u8> {
    [
        u16::try_from(bytes.len()).unwrap().to_be_bytes().as_slice(),
        bytes,
    ]
    .concat()
}

fn extension(kind: u16, data: &[u8]) -> Vec<u8> {
    [kind.to_be_bytes().to_vec(), vector16(data)].concat()
}

fn name(host: &str) -> Vec<u8> {
    let entry = [vec![0], vector16(host.as_bytes())].concat();
    extension(SERVER_NAME, &vector16(&entry))
}

/// A hello message with its handshake header.
fn hello(legacy: u16, extensions: &[u8]) -> Vec<u8> {
    let body = [
        legacy.to_be_bytes().to_vec(),
        vec![7; 32],
        vector8(&[9; 32]),
        vector16(&[0x0a, 0x0a, 0xc0, 0x2b, 0x00, 0x2f]),
        vector8(&[0]),
        extensions.to_vec(),
    ]
    .concat();
    let length = u32::try_from(body.len()).unwrap().to_be_bytes();
    [&[1], &length[1..], &body].concat()
}

fn records(message: &[u8], size: usize) -> Vec<u8> {
    message
        .chunks(size)
        .flat_map(|part| [vec![0x16, 3, 1], vector16(part)].concat())
        .collect()
}

#[test]
fn a_client_of_today_offers_what_its_extension_says() {
    let versions = [0x5a, 0x5a, 0x03, 0x03, 0x03, 0x04];
    let extensions = vector16(
        &[
            extension(0x0a0a, &[]),
            name("smtp.relay.example"),
            extension(SUPPORTED_VERSIONS, &vector8(&versions)),
            extension(ALPN, &vector16(&vector8(b"h2"))),
        ]
        .concat(),
    );
    let want = ClientHello {
        versions: vec![TlsVersion::Tls13, TlsVersion::Tls12],
        server_name: Some("smtp.relay.example".to_owned()),
        cipher_suites: vec![0xc02b, 0x002f],
        alpn: vec!["h2".to_owned()],
    };
    for size in [9_999, 100, 4, 1] {
        let bytes = records(&hello(0x0303, &extensions), size);
        assert_eq!(
            ClientHello::read(&bytes),
            Ok(Some(want.clone())),
            "records of {size}"
        );
        for end in 0..bytes.len() {
            assert_eq!(
                ClientHello::read(&bytes[..end]),
                Ok(None),
                "{end} bytes of records of {size}"
            );
        }
    }
}

#[test]
fn an_old_client_says_its_best_version_only() {
    for (legacy, want, shown) in [
        (0x0301, TlsVersion::Tls10, "TLS 1.0"),
        (0x0302, TlsVersion::Tls11, "TLS 1.1"),
        (0x0300, TlsVersion::Ssl3, "SSL 3"),
    ] {
        let bytes = records(&hello(legacy, &[]), 9_999);
        let hello = ClientHello::read(&bytes).unwrap().unwrap();
        assert_eq!(hello.best(), Some(want));
        assert_eq!(want.to_string(), shown);
        assert_eq!(hello.server_name, None);
    }
}

#[test]
fn a_hello_in_the_form_of_ssl_2_is_known_for_what_it_is() {
    let body = [
        &[1, 3, 1, 0, 3, 0, 0, 0, 16, 0, 0, 0x2f],
        [5; 16].as_slice(),
    ]
    .concat();
    let bytes = [&[0x80, u8::try_from(body.len()).unwrap()], body.as_slice()].concat();
    let hello = ClientHello::read(&bytes).unwrap().unwrap();
    assert_eq!(hello.versions, [TlsVersion::Tls10, TlsVersion::Ssl2]);
    assert_eq!(ClientHello::read(&bytes[..9]), Ok(None));
}

#[test]
fn what_is_no_hello_is_told_apart() {
    for (bytes, want) in [
        (b"EHLO vm\r\n".to_vec(), HelloError::NotHello),
        (
            b"\x15\x03\x01\x00\x02\x02\x28".to_vec(),
            HelloError::NotHello,
        ),
        (b"\x16\x03\x01\x00\x01\x02".to_vec(), HelloError::NotHello),
        (b"\x16\x03\x01\x00\x00".to_vec(), HelloError::Malformed),
        (
            b"\x16\x03\x01\x00\x04\x01\xff\xff\xff".to_vec(),
            HelloError::TooLong,
        ),
        (records(&[1, 0, 0, 2, 3, 3], 99), HelloError::Malformed),
        (
            records(&hello(0x0303, &[0, 9, 0, 0]), 99),
            HelloError::Malformed,
        ),
    ] {
        assert_eq!(ClientHello::read(&bytes), Err(want), "{bytes:?}");
    }
}

proptest::proptest! {
    #[test]
    fn no_damaged_hello_makes_it_stumble(at in 0_usize..160, value: u8, size in 1_usize..200) {
        let extensions = vector16(&[name("a.example"), extension(SUPPORTED_VERSIONS, &vector8(&[3, 4]))].concat());
        let mut bytes = records(&hello(0x0303, &extensions), size);
        if let Some(byte) = bytes.get_mut(at) {
            *byte = value;
        }
        drop(ClientHello::read(&bytes));
    }
}
