use super::*;

const OWN: &str = "Joe's Garage";

fn names() -> Names {
    Names::new(&NameConfig::default())
}

fn fault(name: &str) -> Option<NameFault> {
    let own = Own {
        name: OWN,
        domain: &|domain| domain == "joesgarage.example" || domain == "joesgarage.ca",
    };
    names()
        .choose(Some(name), &own)
        .refused
        .map(|(_, fault)| fault)
}

#[test]
fn good_names_stand() {
    for name in [
        "Joe Müller",
        "修理",
        "Joe's Garage",
        "JOE'S GARAGE - SERVICE",
        "Garage Dupré & Fils S.A.",
        "Müller GmbH & Co. KG",
        "Dr. Jo Li",
        "Dr.Jo",
        "St.Mary's Parts",
        "A.B.C. Auto",
        "J.Smith",
        "No.1 Tyres",
        "Applegate Motors",
        "Amazonas Reisen",
        "Metall & Visagen",
        "Upside Garage",
        "Zoomer's Diner",
        "Chaseley Dental",
        "Mary at Joe's",
        "Гараж Иванова",
        "ガレージ佐藤",
        "Οδοντιατρείο Παπαδόπουλος",
        "مرآب جو",
        "מוסך יוסי",
        "정비소",
        "Ελένη & Söhne",
        "joesgarage.example",
        "www.JoesGarage.example",
        "Estimates (joesgarage.ca)",
        "Bob 🚗 Garage",
        "Invoices: spring 2026",
        "24/7 Towing",
        "v1.2 release",
        "Rechnung 12.05.2026",
        "1.250,00 EUR",
        "O'Brien e.K.",
        "Café Zoë",
        "Notes.txt",
        "Mr. T.Ruck",
        "Smith...and Sons",
    ] {
        assert_eq!(fault(name), None, "{name}");
    }
}

#[test]
fn malformed_names_are_named() {
    use NameFault::{At, Control, Invisible, Length};
    for (name, want) in [
        ("gar\u{202e}age", Invisible),
        ("gar\u{202d}age", Invisible),
        ("\u{2066}garage\u{2069}", Invisible),
        ("gar\u{200b}age", Invisible),
        ("gar\u{200c}age", Invisible),
        ("gar\u{200d}age", Invisible),
        ("\u{feff}garage", Invisible),
        ("gar\u{3164}age", Invisible),
        ("gar\u{ad}age", Invisible),
        ("gar\u{34f}age", Invisible),
        ("gar\u{180e}age", Invisible),
        ("gar\u{2028}age", Invisible),
        ("gar\u{200f}age", Invisible),
        ("gar\u{61c}age", Invisible),
        ("gar\u{e0041}age", Invisible),
        ("gar\u{2800}age", Invisible),
        ("gar\u{115f}age", Invisible),
        ("gar\nage", Control),
        ("gar\tage", Control),
        ("gar\u{7f}age", Control),
        ("gar\u{85}age", Control),
        ("gar\0age", Control),
        ("service@bank.example", At),
        ("service＠bank.example", At),
        ("service﹫bank.example", At),
        ("a @ b", At),
    ] {
        assert_eq!(fault(name), Some(want), "{name:?}");
    }
    assert_eq!(fault(&"x".repeat(129)), Some(Length));
    assert_eq!(fault(&"ü".repeat(128)), None);
}

#[test]
fn domains_of_others_are_found() {
    for name in [
        "paypal.com",
        "www.bank.example",
        "Bank (bank.de)",
        "BANK.COM",
        "login.microsoftonline.com",
        "bank．com",
        "bank。com",
        "bank․com",
        "bank.ｃｏｍ",
        "bank.соm",
        "b.co.uk",
        "vw.de",
        "hp.com",
        "x.org",
        "сбербанк.рф",
        "例え.みんな",
        "gmail.com",
        "https://bank.ru/login",
        "evil-joesgarage.ca",
        "joesgarage.ca.evil.net",
        "Contact bank.shop now",
    ] {
        assert!(
            matches!(fault(name), Some(NameFault::Domain(_))),
            "{name}: {:?}",
            fault(name)
        );
    }
}

#[test]
fn what_looks_like_a_brand_is_found() {
    for (name, brand) in [
        ("PayPal", "PayPal"),
        ("PAYPAL SUPPORT", "PayPal"),
        ("PayPaI", "PayPal"),
        ("PayPa1 Billing", "PayPal"),
        ("Pay Pal", "PayPal"),
        ("P a y P a l", "PayPal"),
        ("Pay-Pal", "PayPal"),
        ("рaураl", "PayPal"),
        ("ΡayΡal", "PayPal"),
        ("𝐏𝐚𝐲𝐏𝐚𝐥", "PayPal"),
        ("ＰａｙＰａｌ", "PayPal"),
        ("ⓅⓐⓎⓅⓐⓁ", "PayPal"),
        ("ᴘᴀʏᴘᴀʟ", "PayPal"),
        ("Pàypál", "PayPal"),
        ("the PayPal team", "PayPal"),
        ("Arnazon", "Amazon"),
        ("AMAZ0N", "Amazon"),
        ("Аmazon", "Amazon"),
        ("Micr0soft", "Microsoft"),
        ("Mіcrosoft Account", "Microsoft"),
        ("VISA", "Visa"),
        ("V1SA", "Visa"),
        ("V\u{131}sa", "Visa"),
        ("DHI", "DHL"),
        ("dhl express", "DHL"),
        ("Goog1e", "Google"),
        ("Gооgle", "Google"),
        ("vvells fargo", "Wells Fargo"),
        ("WELLS-FARGO", "Wells Fargo"),
        ("Credit Agricole", "Crédit Agricole"),
        ("Netfl\u{456}x", "Netflix"),
        ("Αpple", "Apple"),
        ("eВay", "eBay"),
        ("Office365", "Office 365"),
    ] {
        assert_eq!(
            fault(name),
            Some(NameFault::Brand(brand.to_owned())),
            "{name}"
        );
    }
}

#[test]
fn a_brand_in_the_tenants_own_name_is_its_own() {
    let own = Own {
        name: "Tesla Center Nord",
        domain: &|_| false,
    };
    let shown = names().choose(Some("TESLA Service"), &own);
    assert_eq!(shown.refused, None);
    let shown = names().choose(Some("Tesla PayPal"), &own);
    assert_eq!(shown.name, "Tesla Center Nord");
    assert_eq!(
        shown.refused,
        Some((
            "Tesla PayPal".to_owned(),
            NameFault::Brand("PayPal".to_owned())
        ))
    );
    for nothing in [None, Some(""), Some("  ")] {
        let shown = names().choose(nothing, &own);
        assert_eq!((shown.name.as_str(), shown.refused), (own.name, None));
    }
    assert_eq!(names().choose(Some("  Nord "), &own).name, "Nord");
}

#[test]
fn only_providers_domains_are_providers() {
    for (domain, want) in [
        ("gmail.com", true),
        ("videotron.ca", true),
        ("joesgarage.example", false),
        ("mail.gmail.com", false),
    ] {
        assert_eq!(is_provider(domain), want, "{domain}");
    }
}
