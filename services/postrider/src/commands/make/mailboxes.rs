//! The mailboxes that a new relay names: who answers for it, and where reports about it go. RFC 2142 has
//! such mailboxes at the service's own domain, where nothing is read yet.

use anyhow::bail;
use postrider_model::EmailAddress;

use crate::cli::InitArgs;
use crate::config::Config;

/// Refuses a relay that nobody could write to, before anything is made.
pub(super) fn check(args: &InitArgs, config: &Config) -> anyhow::Result<()> {
    let is_named = args.domain.is_some() || args.host.is_some();
    if is_named && args.contact.is_none() {
        bail!(
            "--contact is missing: name a mailbox that somebody reads, such as --contact you@your-company.example. Whoever the relay troubles writes there, and who answers one of its letters. It may not be at {}: mail to that comes to the relay itself, which puts it off until a later release reads it",
            config.service.host
        );
    }
    let given = [("--contact", &args.contact), ("--reports", &args.reports)];
    for (option, address) in given {
        if let Some(address) = address {
            is_elsewhere(option, address, config)?;
        }
    }
    Ok(())
}

fn is_elsewhere(option: &str, address: &EmailAddress, config: &Config) -> anyhow::Result<()> {
    let domain = address.domain();
    if config.is_own(domain) {
        bail!(
            "{option} is {address}: mail to {domain} comes to this relay itself, which puts it off until a later release reads it. Name a mailbox elsewhere that somebody reads, such as you@your-company.example"
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use clap::Parser;

    use super::*;
    use crate::cli::{Cli, Command};

    fn checked(words: &[&str]) -> Result<(), String> {
        let line = ["postrider", "init", "relay"].iter().chain(words);
        let Command::Init(args) = Cli::try_parse_from(line).unwrap().command else {
            panic!("not init");
        };
        let text = super::super::settings::configuration(&args).unwrap();
        let config = Config::parse(&text, Path::new("")).unwrap();
        check(&args, &config).map_err(|fault| fault.to_string())
    }

    #[test]
    fn a_variable_that_was_not_set_is_named() {
        let line = [
            "postrider",
            "init",
            "relay",
            "--host",
            "mail.test",
            "--contact",
            "",
        ];
        let refused = Cli::try_parse_from(line).unwrap_err().to_string();
        let says = refused.contains("somebody reads") && refused.contains("RELAY_CONTACT");
        assert!(says, "{refused}");
    }

    #[test]
    fn nobody_is_told_to_write_where_nobody_reads() {
        for (words, says) in [
            (&["--domain", "mail.test"][..], "--contact is missing"),
            (&["--host", "mail.test"], "may not be at mail.test"),
            (
                &["--domain", "mail.test", "--contact", "postmaster@Mail.Test"],
                "--contact is postmaster@mail.test: mail to mail.test comes to this relay",
            ),
            (
                &["--host", "mail.test", "--contact", "a@bounce.mail.test"],
                "mail to bounce.mail.test comes",
            ),
            (
                &["--host", "mail.test", "--contact", "a@simulator.mail.test"],
                "mail to simulator.mail.test comes",
            ),
            (
                &[
                    "--host",
                    "mail.test",
                    "--contact",
                    "a@mta-sts.send.mail.test",
                ],
                "mail to mta-sts.send.mail.test comes",
            ),
            (
                &[
                    "--domain",
                    "mail.test",
                    "--contact",
                    "a@corp.test",
                    "--reports",
                    "b@send.mail.test",
                ],
                "--reports is b@send.mail.test",
            ),
        ] {
            let said = checked(words).unwrap_err();
            assert!(said.contains(says), "{words:?}: {said}");
        }
        for words in [
            &[][..],
            &["--domain", "mail.test", "--contact", "a@corp.test"],
            &["--host", "mail.test", "--contact", "a@office.mail.test"],
        ] {
            assert_eq!(checked(words), Ok(()), "{words:?}");
        }
    }
}
