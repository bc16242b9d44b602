//! From a parsed command to the verb that a relay is asked.

use crate::admin::Verb;
use crate::cli::{DkimCommand, KeyCommand, Place, ReplyToCommand, SendArgs, TenantCommand};

/// A tenant's verbs.
pub(super) fn tenant(command: TenantCommand) -> (Place, Verb) {
    match command {
        TenantCommand::Add {
            name,
            reply_to,
            place,
        } => (place, Verb::TenantAdd { name, reply_to }),
        TenantCommand::List { place } => (place, Verb::TenantList),
        TenantCommand::Show { which } => (
            which.place,
            Verb::TenantShow {
                tenant: which.tenant,
            },
        ),
        TenantCommand::Suspend { which } => (
            which.place,
            Verb::TenantSuspend {
                tenant: which.tenant,
            },
        ),
        TenantCommand::Resume { which } => (
            which.place,
            Verb::TenantResume {
                tenant: which.tenant,
            },
        ),
        TenantCommand::Limit(args) => args.parts(),
        TenantCommand::ReplyTo(command) => reply_to(command),
    }
}

fn reply_to(command: ReplyToCommand) -> (Place, Verb) {
    match command {
        ReplyToCommand::Add { which } => (
            which.place,
            Verb::ReplyToAdd {
                tenant: which.tenant,
                address: which.address,
            },
        ),
        ReplyToCommand::Confirm { which } => (
            which.place,
            Verb::ReplyToConfirm {
                tenant: which.tenant,
                address: which.address,
            },
        ),
        ReplyToCommand::Remove { which } => (
            which.place,
            Verb::ReplyToRemove {
                tenant: which.tenant,
                address: which.address,
            },
        ),
    }
}

/// A key's verbs.
pub(super) fn key(command: KeyCommand) -> (Place, Verb) {
    match command {
        KeyCommand::Create { note, which } => (
            which.place,
            Verb::KeyCreate {
                tenant: which.tenant,
                note,
            },
        ),
        KeyCommand::List { which } => (
            which.place,
            Verb::KeyList {
                tenant: which.tenant,
            },
        ),
        KeyCommand::Revoke { id, place } => (place, Verb::KeyRevoke { id }),
    }
}

/// A signing key's verbs.
pub(super) fn dkim(command: DkimCommand) -> (Place, Verb) {
    match command {
        DkimCommand::Show { place } => (place, Verb::DkimShow),
        DkimCommand::Add { place } => (place, Verb::DkimAdd),
        DkimCommand::Revoke { selector, place } => (place, Verb::DkimRevoke { selector }),
    }
}

/// A message to send.
pub(super) fn send(args: SendArgs) -> (Place, Verb) {
    let (tenant, to, subject, text) = (args.tenant, args.to, args.subject, args.text);
    let verb = Verb::Send {
        tenant,
        to,
        subject,
        text,
    };
    (args.place, verb)
}
