//! `postrider tenant import`: a vendor's list of tenants, a thousand lines at a time.

mod columns;

use std::collections::HashMap;
use std::fs::File;
use std::io::{BufReader, Write};
use std::path::Path;

use anyhow::Context;
use postrider_model::{EmailAddress, Licence};
use serde_json::{Value, json};

use columns::{Bad, Columns, WHOLE_LINE, columns};

use super::asked::Asked;
use super::table::{Table, field};
use crate::admin::{ImportRow, ROWS_MOST, RowOutcome, VendorAct, Verb};
use crate::cli::ImportArgs;
use crate::print;

/// Some of what was asked was bad; the rest is done.
#[derive(Debug, thiserror::Error)]
#[error("{}", partly(*bad))]
pub(crate) struct Partly {
    pub(crate) bad: u64,
}

fn partly(bad: u64) -> String {
    let lines = match bad {
        1 => "1 bad line was".to_owned(),
        bad => format!("{bad} bad lines were"),
    };
    format!("{lines} left out; all others are done")
}

const KEYS_HEAD: &str = "licence,tenant,from,user,key\n";

/// What was done so far.
#[derive(Default)]
struct Tally {
    added: u64,
    changed: u64,
    same: u64,
    bad: Vec<Value>,
    bad_count: u64,
}

/// Bad lines that are told of one by one, where the answer is JSON.
const BAD_MOST: usize = 10_000;

/// Carries it out; `Partly` where some lines were bad.
pub(super) async fn import(args: ImportArgs) -> anyhow::Result<()> {
    let file =
        File::open(&args.file).with_context(|| format!("cannot read {}", args.file.display()))?;
    let (table, first) = Table::open(BufReader::new(file))?;
    let columns = columns(first)?;
    let mut keys = Keys::open(args.out.as_deref())?;
    let act = VendorAct::Show {
        vendor: args.vendor.clone(),
    };
    // Before a line is read: whether there is such a vendor.
    let (asked, _) = Asked::first(&args.place, &Verb::Vendor { act }).await?;
    let mut work = Work {
        asked: &asked,
        vendor: &args.vendor,
        json: args.place.json,
        keys: &mut keys,
        tally: Tally::default(),
    };
    let done = work.all(table, &columns).await;
    let tally = work.tally;
    asked.close().await;
    tally.report(args.place.json)?;
    done?;
    match tally.bad_count {
        0 => Ok(()),
        bad => Err(Partly { bad }.into()),
    }
}

impl Tally {
    // On standard error where keys go to standard output.
    fn report(&self, json: bool) -> anyhow::Result<()> {
        if json {
            let answer = json!({
                "added": self.added,
                "changed": self.changed,
                "same": self.same,
                "bad": self.bad_count,
                "bad_lines": self.bad,
            });
            return print::answer(&answer, true);
        }
        say(format_args!(
            "{} added, {} changed, {} as they were, {} bad.",
            self.added, self.changed, self.same, self.bad_count
        ));
        Ok(())
    }
}

// Where nobody reads it, the exit code still tells.
fn say(line: std::fmt::Arguments<'_>) {
    let _unread = writeln!(std::io::stderr(), "{line}");
}

struct Work<'a> {
    asked: &'a Asked,
    vendor: &'a str,
    json: bool,
    keys: &'a mut Keys,
    tally: Tally,
}

impl Work<'_> {
    async fn all<R: std::io::BufRead>(
        &mut self,
        mut table: Table<R>,
        columns: &Columns,
    ) -> anyhow::Result<()> {
        let mut seen: HashMap<Licence, u64> = HashMap::new();
        let mut batch: Vec<(u64, ImportRow)> = Vec::new();
        while let Some(record) = table.next()? {
            let line = record.line;
            let row = match record.fields {
                Ok(fields) => columns.row(&fields),
                Err(why) => Err(Bad {
                    field: WHOLE_LINE,
                    value: String::new(),
                    remedy: why.to_owned(),
                }),
            };
            let row = row.and_then(|row| match seen.get(&row.licence) {
                None => Ok(row),
                Some(first) => Err(Bad {
                    field: "licence",
                    value: row.licence.to_string(),
                    remedy: format!("it stands in line {first} already: give each its own"),
                }),
            });
            match row {
                Ok(row) => {
                    seen.insert(row.licence.clone(), line);
                    batch.push((line, row));
                }
                Err(bad) => self.bad(line, bad.field, &bad.value, &bad.remedy),
            }
            if batch.len() >= ROWS_MOST {
                self.send(std::mem::take(&mut batch)).await?;
            }
        }
        self.send(batch).await
    }

    async fn send(&mut self, batch: Vec<(u64, ImportRow)>) -> anyhow::Result<()> {
        if batch.is_empty() {
            return Ok(());
        }
        let first = batch.first().map_or(0, |(line, _)| *line);
        let rows = batch.iter().map(|(_, row)| row.clone()).collect();
        let vendor = self.vendor;
        let verb = Verb::TenantImport {
            vendor: vendor.to_owned(),
            rows,
        };
        let answer = self.asked.ask(verb).await;
        let last = batch.last().map_or(0, |(line, _)| *line);
        let answer = answer.with_context(|| {
            format!(
                "it ended at lines {first} to {last}: what stands before is done, and these may be done without their keys being here; repeat it, and for each of them that is counted as it was `postrider key create TENANT` makes a key (`postrider tenant list --vendor {vendor}` names the tenants)"
            )
        })?;
        let outcomes: Vec<RowOutcome> = serde_json::from_value(answer)?;
        for ((line, row), outcome) in batch.iter().zip(outcomes) {
            match outcome {
                RowOutcome::Added { slug, from, key } => {
                    self.tally.added += 1;
                    self.keys.add(row, &slug, (&from, &key))?;
                }
                RowOutcome::Changed { .. } => self.tally.changed += 1,
                RowOutcome::Same => self.tally.same += 1,
                RowOutcome::Bad { field, why } => {
                    let reply_to = row.reply_to.to_string();
                    let value = if field == "name" {
                        &row.name
                    } else {
                        &reply_to
                    };
                    self.bad(*line, &field, value, &why);
                }
            }
        }
        self.keys.flush()
    }

    fn bad(&mut self, line: u64, field: &str, value: &str, remedy: &str) {
        self.tally.bad_count += 1;
        if !self.json {
            say(format_args!("{}", told(line, (field, value), remedy)));
        } else if self.tally.bad.len() < BAD_MOST {
            let bad = json!({"line": line, "field": field, "value": value, "remedy": remedy});
            self.tally.bad.push(bad);
        }
    }
}

/// What people are told of a bad line.
fn told(line: u64, (field, value): (&str, &str), remedy: &str) -> String {
    if field == WHOLE_LINE {
        format!("line {line}: {remedy}")
    } else {
        format!("line {line}: {field} {value:?}: {remedy}")
    }
}

/// Where the keys of new tenants are written: shown this one time.
enum Keys {
    File(File),
    Screen { begun: bool },
}

impl Keys {
    fn open(path: Option<&Path>) -> anyhow::Result<Self> {
        use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
        let Some(path) = path else {
            return Ok(Self::Screen { begun: false });
        };
        let mut options = File::options();
        // Those of an import before this one are not lost.
        options.append(true).create(true).mode(0o600);
        let cannot = || format!("cannot write {}", path.display());
        let mut file = options.open(path).with_context(cannot)?;
        file.set_permissions(std::fs::Permissions::from_mode(0o600))
            .with_context(cannot)?;
        if file.metadata().with_context(cannot)?.len() == 0 {
            file.write_all(KEYS_HEAD.as_bytes()).with_context(cannot)?;
        }
        Ok(Self::File(file))
    }

    fn add(
        &mut self,
        row: &ImportRow,
        slug: &str,
        (from, key): (&EmailAddress, &str),
    ) -> anyhow::Result<()> {
        let licence = field(row.licence.as_str());
        let line = format!("{licence},{slug},{from},{slug},{key}\n");
        match self {
            Self::File(file) => file.write_all(line.as_bytes())?,
            Self::Screen { begun } => {
                let mut out = std::io::stdout().lock();
                if !std::mem::replace(begun, true) {
                    out.write_all(KEYS_HEAD.as_bytes())?;
                }
                out.write_all(line.as_bytes())?;
            }
        }
        Ok(())
    }

    fn flush(&mut self) -> anyhow::Result<()> {
        match self {
            Self::File(file) => Ok(file.sync_data()?),
            Self::Screen { .. } => Ok(std::io::stdout().flush()?),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_another_encoding_is_told_how_to_save_the_file() {
        let file = b"licence,name,reply_to\nL-1,Caf\xe9,joe@garage.example\n";
        let (mut table, _) = Table::open(&file[..]).unwrap();
        let record = table.next().unwrap().unwrap();
        let why = record.fields.unwrap_err();
        assert_eq!(
            told(record.line, (WHOLE_LINE, ""), why),
            "line 2: it is not UTF-8: save the file as UTF-8 (Excel: \"CSV UTF-8\")"
        );
        assert_eq!(
            told(3, ("attested", "true"), "give yes or no"),
            "line 3: attested \"true\": give yes or no"
        );
        assert_eq!(
            Partly { bad: 1 }.to_string(),
            "1 bad line was left out; all others are done"
        );
    }
}
