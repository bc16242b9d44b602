//! What a verb about the queue did, and what waits, as a person reads it.

use serde_json::Value;

use super::{aligned, list, when, word};
use crate::admin::QueueAct;

/// Vendors, tenants and commands that are named one by one: a service may suspend thousands.
const NAMED: usize = 20;

/// What a verb did, in sentences.
pub(crate) fn queue(act: QueueAct, answer: &Value) -> String {
    let changed = recipients(count(answer, "changed"));
    let whole = match act {
        QueueAct::RetryNow => all_stopped(answer),
        _ => None,
    };
    let is_told = whole.is_some();
    let mut lines = vec![whole.unwrap_or_else(|| match act {
        QueueAct::Hold => format!("{changed} held."),
        QueueAct::Release => format!("{changed} released."),
        QueueAct::Cancel => format!("{changed} cancelled."),
        QueueAct::RetryNow => format!("{changed} due now."),
        QueueAct::Suspend => "Suspended, until `postrider queue resume`.".to_owned(),
        QueueAct::Resume => "It goes on.".to_owned(),
    })];
    if act == QueueAct::RetryNow && !is_told {
        lines.extend(hurried(answer));
    }
    if count(answer, "too_late") > 0 {
        let late = recipients(count(answer, "too_late"));
        lines.push(format!("{late} too late: it may have been sent already."));
    }
    if count(answer, "resealed") > 0 {
        lines.push(format!(
            "Messages signed anew: {}.",
            count(answer, "resealed")
        ));
    }
    if count(answer, "not_resealed") > 0 {
        let failed = count(answer, "not_resealed");
        lines.push(format!(
            "Messages that could not be signed anew, and wait: {failed}."
        ));
    }
    if count(answer, "not_answered") > 0 {
        let nodes = list(answer, "not_answered").iter();
        let names: Vec<_> = nodes.filter_map(Value::as_str).collect();
        let names = names.join(", ");
        lines.push(format!(
            "No answer yet from {names}: see `postrider nodes`."
        ));
    }
    lines.join("\n")
}

/// Where what became due is all that is due there, and one thing stops all of it: one sentence for it.
fn all_stopped(answer: &Value) -> Option<String> {
    let [held] = list(answer, "held_by") else {
        return None;
    };
    let changed = count(answer, "changed");
    let is_all = [count(answer, "due"), count(held, "recipients")] == [changed, changed];
    if !is_all || changed == 0 || is_more(answer) {
        return None;
    }
    let they = if changed == 1 { "it does" } else { "they do" };
    let what = format!(
        "{} due now, but {they} not leave, for {}.",
        recipients(changed),
        word(held, "for")
    );
    Some(releases(what, list(held, "release")))
}

/// What of it does not leave all the same, and why nothing was to hurry.
fn hurried(answer: &Value) -> Vec<String> {
    let held = list(answer, "held_by");
    let is_more = is_more(answer);
    let mut lines: Vec<_> = held.iter().map(|held| stopped(held, is_more)).collect();
    let perhaps = count(answer, "perhaps_held");
    if perhaps > 0 {
        let what = format!(
            "Of {} those wait whose answers or receipts would go to somebody who does not know the tenant.",
            recipients(perhaps)
        );
        lines.push(releases(what, list(answer, "perhaps_release")));
    }
    if answer.get("due").is_none() || count(answer, "changed") > 0 {
        return lines;
    }
    lines.extend(unhurried(answer));
    match (lines.is_empty(), is_more) {
        (true, false) => lines.push("Nothing waits there.".to_owned()),
        (true, true) => lines.push(
            "Nothing of it is among the first of a long queue; behind those nobody looked."
                .to_owned(),
        ),
        (false, _) => {}
    }
    lines
}

/// What waits there for something else than its next attempt.
fn unhurried(answer: &Value) -> Vec<String> {
    let held = list(answer, "held_by").iter();
    let all_held: u64 = held.map(|one| count(one, "recipients")).sum();
    let waits = [
        (
            count(answer, "due").saturating_sub(all_held),
            "due already, and wait for their turn.",
        ),
        (
            count(answer, "scheduled"),
            "scheduled by their senders for later: that is not hurried.",
        ),
        (
            count(answer, "held"),
            "held: `postrider queue release` sends them on.",
        ),
    ];
    let waits = waits.into_iter().filter(|(count, _)| *count > 0);
    let told = waits.map(|(count, what)| {
        let count = at_least(count, is_more(answer));
        format!("{count}: {what}")
    });
    told.collect()
}

fn stopped(held: &Value, is_more: bool) -> String {
    let what = format!(
        "Of what is due there, {}{} not leave, for {}.",
        if is_more { "at least " } else { "" },
        match count(held, "recipients") {
            1 => "1 recipient does".to_owned(),
            n => format!("{n} recipients do"),
        },
        word(held, "for")
    );
    releases(what, list(held, "release"))
}

/// With the commands that let it go.
fn releases(mut what: String, commands: &[Value]) -> String {
    for command in commands.iter().filter_map(Value::as_str) {
        what.push(' ');
        what.push_str(&release(command));
    }
    what
}

fn release(command: &str) -> String {
    match command {
        "postrider doctor" => "`postrider doctor` says what to mend.".to_owned(),
        command => format!("`{command}` lets it go."),
    }
}

/// What is stopped, and what waits for what.
pub(crate) fn queue_list(answer: &Value) -> String {
    let mut lines = suspended(answer);
    if !word(answer, "closed").is_empty() {
        lines.push(format!(
            "Nothing may leave this relay ({}): `postrider doctor` says what to mend.",
            word(answer, "closed")
        ));
    }
    let waits = answer.get("waiting").unwrap_or(&Value::Null);
    let mut each = list(waits, "lines").iter();
    if lines.is_empty() && each.all(|line| list(line, "held_by").is_empty()) {
        lines.push("Nothing is suspended.".to_owned());
    }
    let is_doctor = |line: &Value| list(line, "held_by").iter().any(|word| word == "doctor");
    let is_untold = word(answer, "closed").is_empty() && list(waits, "lines").iter().any(is_doctor);
    let mut ways = ways_on(waits, &lines.join("\n"));
    if is_untold {
        // Another process knows what was found; the line says no more than who holds it.
        let told =
            "doctor: nothing may leave this relay, or DNS has just not told where its mail goes.";
        ways.insert(0, told.to_owned());
    }
    if !lines.is_empty() {
        lines.push(String::new());
    }
    lines.extend(waiting(waits));
    if !ways.is_empty() {
        lines.push(String::new());
        lines.extend(ways);
    }
    lines.join("\n")
}

/// Whose queue is suspended, and who is, with what ends it.
fn suspended(answer: &Value) -> Vec<String> {
    let mut lines = Vec::new();
    for suspension in list(answer, "suspensions") {
        let abouts = ["tenant", "vendor", "domain", "message"];
        let about = abouts
            .iter()
            .find(|about| !word(suspension, about).is_empty());
        let about = about.copied().unwrap_or("");
        let which = word(suspension, about);
        lines.push(format!(
            "The queue of the {about} {which} is suspended since {}: `postrider queue resume --{about} {which}` ends it.",
            when(word(suspension, "since"))
        ));
    }
    for (name, about) in [
        ("suspended_vendors", "vendor"),
        ("suspended_tenants", "tenant"),
    ] {
        let slugs = list(answer, name);
        for slug in slugs.iter().filter_map(Value::as_str).take(NAMED) {
            lines.push(format!(
                "The {about} {slug} is suspended: `postrider {about} resume {slug}` ends it."
            ));
        }
        let left_out = slugs.len().saturating_sub(NAMED);
        if left_out > 0 {
            lines.push(format!(
                "{left_out} more {about}s are suspended: `postrider {about} list` names them."
            ));
        }
    }
    lines
}

/// The commands that let go of what the lines hold, each once, but for those that were told of above.
fn ways_on(waiting: &Value, above: &str) -> Vec<String> {
    let mut commands: Vec<&str> = Vec::new();
    for line in list(waiting, "lines") {
        for command in list(line, "release").iter().filter_map(Value::as_str) {
            if !commands.contains(&command) && !above.contains(&format!("`{command}`")) {
                commands.push(command);
            }
        }
    }
    let mut lines: Vec<_> = commands
        .iter()
        .take(NAMED)
        .map(|one| release(one))
        .collect();
    let left_out = commands.len().saturating_sub(NAMED);
    if left_out > 0 {
        lines.push(format!(
            "and {left_out} more such commands: --json has each"
        ));
    }
    lines
}

fn waiting(waiting: &Value) -> Vec<String> {
    let all = count(waiting, "recipients");
    if all == 0 {
        let nothing = if is_more(waiting) {
            "Nothing of it is among the first of a long queue."
        } else {
            "Nothing waits."
        };
        return vec![nothing.to_owned()];
    }
    let is_more = is_more(waiting);
    let how_many = recipients(all);
    let mut lines = vec![if is_more {
        format!("{how_many} wait, and more: the first of a long queue are counted.")
    } else if all == 1 {
        "1 recipient waits.".to_owned()
    } else {
        format!("{how_many} wait.")
    }];
    lines.push(String::new());
    let titles = ["tenant", "vendor", "cause", "recipients"];
    let mut rows = vec![titles.map(str::to_owned).to_vec()];
    let each = list(waiting, "lines");
    rows.extend(each.iter().map(|line| {
        let cell = |name| word(line, name).to_owned();
        let count = count(line, "recipients").to_string();
        vec![cell("tenant"), cell("vendor"), cell("cause"), count]
    }));
    let aligned = aligned(&rows, 3);
    let whys = std::iter::once("why").chain(each.iter().map(|line| word(line, "why")));
    lines.extend(
        aligned
            .iter()
            .zip(whys)
            .map(|(row, why)| format!("{row}  {why}")),
    );
    match count(waiting, "left_out") {
        0 => {}
        1 => lines.push("and 1 line more: ask by --vendor".to_owned()),
        n => lines.push(format!("and {n} lines more: ask by --vendor")),
    }
    lines
}

/// Whether some was not looked at.
fn is_more(value: &Value) -> bool {
    value.get("more").and_then(Value::as_bool) == Some(true)
}

fn at_least(count: u64, is_more: bool) -> String {
    let prefix = if is_more { "At least " } else { "" };
    format!("{prefix}{}", recipients(count))
}

fn count(value: &Value, name: &str) -> u64 {
    match value.get(name) {
        Some(Value::Array(items)) => items.len() as u64,
        Some(value) => value.as_u64().unwrap_or(0),
        None => 0,
    }
}

fn recipients(count: u64) -> String {
    match count {
        1 => "1 recipient".to_owned(),
        n => format!("{n} recipients"),
    }
}

#[cfg(test)]
mod tests;
