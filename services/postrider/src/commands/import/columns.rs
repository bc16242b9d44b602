//! The columns of a vendor's list: which is what, and what may stand in them.

use std::collections::HashMap;

use anyhow::{Context, bail};
use postrider_model::{EmailAddress, Language, Licence, Plan};

use super::super::table::Record;
use crate::admin::ImportRow;

/// What the first record has to name, and may.
const NEEDED: [&str; 3] = ["licence", "name", "reply_to"];
const KNOWN: [&str; 6] = [
    "licence", "name", "reply_to", "language", "plan", "attested",
];
/// The `field` of a line that cannot be divided into fields.
pub(super) const WHOLE_LINE: &str = "line";

/// Which column is what.
pub(super) struct Columns {
    at: HashMap<&'static str, usize>,
    count: usize,
}

/// Reads the first record.
pub(super) fn columns(first: Option<Record>) -> anyhow::Result<Columns> {
    let first = first.context("the file is empty: its first line names the columns")?;
    let names = first
        .fields
        .map_err(|why| anyhow::anyhow!("line {}: {why}", first.line))?;
    let mut columns = HashMap::new();
    for (at, name) in names.iter().enumerate() {
        let name = name.trim().to_ascii_lowercase();
        let Some(known) = KNOWN.iter().find(|known| **known == name) else {
            bail!(
                "line 1: there is no column {name:?}: the columns are {}",
                KNOWN.join(", ")
            );
        };
        if columns.insert(*known, at).is_some() {
            bail!("line 1: the column {name:?} is there twice");
        }
    }
    match NEEDED.iter().find(|needed| !columns.contains_key(**needed)) {
        Some(missing) => bail!("line 1: the column {missing:?} is missing"),
        None => Ok(Columns {
            at: columns,
            count: names.len(),
        }),
    }
}

/// What is wrong with a line.
pub(super) struct Bad {
    pub(super) field: &'static str,
    pub(super) value: String,
    pub(super) remedy: String,
}

impl Columns {
    /// A line's row, or what is wrong with it.
    pub(super) fn row(&self, fields: &[String]) -> Result<ImportRow, Bad> {
        // Not one of them can be told from the others then.
        if fields.len() > self.count {
            return Err(Bad {
                field: WHOLE_LINE,
                value: fields.last().cloned().unwrap_or_default(),
                remedy: format!(
                    "it has {} fields, and there are {} columns: put a field with the separator in it into quotes",
                    fields.len(),
                    self.count
                ),
            });
        }
        let value = |name: &str| {
            let at = self.at.get(name);
            at.and_then(|at| fields.get(*at))
                .map_or("", |value| value.trim())
        };
        let bad = |field: &'static str, remedy: String| Bad {
            field,
            value: value(field).to_owned(),
            remedy,
        };
        let licence = Licence::parse(value("licence"));
        let reply_to = EmailAddress::parse(value("reply_to"));
        let language = optional(value("language"), |word| {
            Language::parse(&word.to_ascii_lowercase())
        });
        let plan = optional(value("plan"), Plan::parse);
        Ok(ImportRow {
            licence: licence.map_err(|fault| bad("licence", format!("give {fault}")))?,
            name: value("name").to_owned(),
            reply_to: reply_to.map_err(|fault| bad("reply_to", fault.to_string()))?,
            language: language.map_err(|_| {
                let words: Vec<_> = Language::ALL.iter().map(|one| one.as_str()).collect();
                bad(
                    "language",
                    format!("give {}, or nothing", words.join(" or ")),
                )
            })?,
            plan: plan.map_err(|fault| bad("plan", format!("give {fault}")))?,
            attested: match value("attested").to_ascii_lowercase().as_str() {
                "yes" => true,
                "no" | "" => false,
                _ => {
                    return Err(bad(
                        "attested",
                        "give yes or no, or nothing for no".to_owned(),
                    ));
                }
            },
        })
    }
}

fn optional<T, E>(text: &str, parse: impl FnOnce(&str) -> Result<T, E>) -> Result<Option<T>, E> {
    if text.is_empty() {
        return Ok(None);
    }
    parse(text).map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(names: &[&str]) -> Record {
        let fields = Ok(names.iter().map(|name| (*name).to_owned()).collect());
        Record { line: 1, fields }
    }

    #[test]
    fn the_first_line_says_which_column_is_what() {
        for (names, is_good) in [
            (&["licence", "name", "reply_to"][..], true),
            (
                &[
                    "Reply_To", " plan", "name", "licence", "attested", "language",
                ],
                true,
            ),
            (&["licence", "name"], false),
            (&["licence", "name", "reply_to", "colour"], false),
            (&["licence", "name", "reply_to", "name"], false),
        ] {
            assert_eq!(columns(Some(head(names))).is_ok(), is_good, "{names:?}");
        }
        assert!(columns(None).is_err());
    }

    #[test]
    fn a_bad_line_is_told_by_its_field_and_value() {
        let columns = columns(Some(head(&KNOWN))).unwrap();
        let row = |line: &str| {
            let fields: Vec<String> = line.split(',').map(str::to_owned).collect();
            columns.row(&fields).map_err(|bad| (bad.field, bad.value))
        };
        let good = row(" L1 ,Joe, joe@garage.example ,FR,gold,Yes").unwrap();
        assert_eq!(
            (good.licence.as_str(), good.language),
            ("L1", Some(Language::Fr))
        );
        assert!(good.attested);
        let bare = row("L1,Joe,joe@garage.example").unwrap();
        assert!(!bare.attested && bare.language.is_none() && bare.plan.is_none());
        for (line, field, value) in [
            (",Joe,joe@garage.example", "licence", ""),
            ("L1,Joe,joe@", "reply_to", "joe@"),
            ("L1,Joe,joe@garage.example,xx", "language", "xx"),
            ("L1,Joe,joe@garage.example,fr,,maybe", "attested", "maybe"),
        ] {
            assert_eq!(row(line), Err((field, value.to_owned())), "{line}");
        }
    }

    #[test]
    fn a_line_with_more_fields_than_columns_is_bad() {
        let columns = columns(Some(head(&["licence", "name", "reply_to"]))).unwrap();
        let fields = |text: &str| text.split(',').map(str::to_owned).collect::<Vec<_>>();
        assert!(columns.row(&fields("L-1,Joe,joe@x.example")).is_ok());
        let bad = columns.row(&fields("L-1,Joe, Inc,joe@x.example")).err();
        assert!(bad.unwrap().remedy.contains("4 fields"));
    }
}
