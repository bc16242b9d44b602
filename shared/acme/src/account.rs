//! The account with an authority (RFC 8555 §7.3): made once, kept by who calls.

use instant_acme::{AccountCredentials, NewAccount};
use postrider_dns::Resolver;
use postrider_tls::Connector;
use serde::{Deserialize, Serialize};

use crate::AcmeError;
use crate::caller::Caller;
use crate::order::{Step, Verdict, verdict};

/// Whom to ask.
#[derive(Clone)]
pub struct Authority {
    /// Where its directory is (RFC 8555 §7.1.1): `https://…`.
    pub directory: String,
    pub resolver: Resolver,
    /// Whom the directory's own certificate has to be from.
    pub connector: Connector,
}

/// An account that an authority knows.
pub struct Account {
    pub(crate) inner: instant_acme::Account,
    pub(crate) caller: Caller,
}

/// An account, and what to keep of it.
pub struct Opened {
    pub account: Account,
    /// JSON with the account's private key, where it is another than what was given: write it down,
    /// for nobody else to read, before anything is ordered.
    pub keep: Option<String>,
}

/// What is kept of an account.
#[derive(Serialize, Deserialize)]
struct Kept {
    directory: String,
    contact: String,
    credentials: AccountCredentials,
}

impl Account {
    /// The account that `kept` tells of, or a new one where it is none with this authority. By a
    /// new one its terms of service are agreed to. `contact`: the mail address of who answers for
    /// the names; may be empty. Cancelled, it may leave an account behind that nobody uses.
    pub async fn open(
        authority: &Authority,
        contact: &str,
        kept: Option<&str>,
    ) -> Result<Verdict<Opened>, AcmeError> {
        let caller = Caller::new(authority.resolver.clone(), &authority.connector);
        let kept = kept.map(serde_json::from_str::<Kept>).transpose();
        let kept = kept.map_err(|fault| AcmeError::BadAccount(Box::new(fault)))?;
        let same = kept.filter(|kept| kept.directory == authority.directory);
        let opened = match same {
            Some(kept) => restored(&caller, contact, kept).await,
            None => created(&caller, contact, &authority.directory).await,
        };
        verdict(opened, &caller)
    }
}

async fn restored(caller: &Caller, contact: &str, kept: Kept) -> Step<Opened> {
    let text = serde_json::to_value(&kept.credentials).map_err(unwritable)?;
    let builder = instant_acme::Account::builder_with_http(Box::new(caller.clone()));
    let inner = builder.from_credentials(kept.credentials).await?;
    let keep = if kept.contact == contact {
        None
    } else {
        inner.update_contacts(&uris(contact).each()).await?;
        let credentials = serde_json::from_value(text).map_err(unwritable)?;
        Some(written(&kept.directory, contact, credentials)?)
    };
    Ok(opened(inner, caller, keep))
}

async fn created(caller: &Caller, contact: &str, directory: &str) -> Step<Opened> {
    let builder = instant_acme::Account::builder_with_http(Box::new(caller.clone()));
    let uris = uris(contact);
    let asked = NewAccount {
        contact: &uris.each(),
        terms_of_service_agreed: true,
        only_return_existing: false,
    };
    let made = builder.create(&asked, directory.to_owned(), None).await;
    let (inner, credentials) = made?;
    let keep = written(directory, contact, credentials)?;
    Ok(opened(inner, caller, Some(keep)))
}

fn opened(inner: instant_acme::Account, caller: &Caller, keep: Option<String>) -> Opened {
    let caller = caller.clone();
    Opened {
        account: Account { inner, caller },
        keep,
    }
}

fn written(
    directory: &str,
    contact: &str,
    credentials: AccountCredentials,
) -> Result<String, AcmeError> {
    let kept = Kept {
        directory: directory.to_owned(),
        contact: contact.to_owned(),
        credentials,
    };
    serde_json::to_string_pretty(&kept).map_err(unwritable)
}

fn unwritable(fault: serde_json::Error) -> AcmeError {
    AcmeError::BadAccount(Box::new(fault))
}

/// RFC 8555 §7.3: contacts are URIs, and none is a list without any.
struct Uris(Vec<String>);

fn uris(contact: &str) -> Uris {
    let some = Some(contact).filter(|contact| !contact.is_empty());
    Uris(
        some.map(|contact| format!("mailto:{contact}"))
            .into_iter()
            .collect(),
    )
}

impl Uris {
    fn each(&self) -> Vec<&str> {
        self.0.iter().map(String::as_str).collect()
    }
}
